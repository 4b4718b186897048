#!/usr/bin/env bash
# Builds the image: one static program, FROM scratch, as an archive that docker,
# podman, containerd and OCI tools load. Needs Rust and a C compiler, no container engine.
#
#   image/build.sh [OUT.tar]     default: target/oci/godwit-VERSION.tar
#
#   GODWIT_IMAGE        name without tag (localhost/godwit)
#   GODWIT_IMAGE_TAG    tag (the version in Cargo.toml)
#   SOURCE_DATE_EPOCH   time of all that has one (0)
#
# The same sources, Rust and C library give the same bytes, wherever they lie.
# Prints one line of JSON: name, digest, size, archive.
set -euo pipefail
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
cd -- "$root"
export PATH=$HOME/.cargo/bin:$PATH
# With the C library linked in: names are still resolved by files and DNS, and
# its malloc is the one everything was measured with.
target=$(uname -m)-unknown-linux-gnu
[[ $target == x86_64-* ]] || { echo "image: only x86_64 is built so far" >&2; exit 1; }

version=$(sed -n 's/^version = "\(.*\)"/\1/p;T;q' Cargo.toml)
name=${GODWIT_IMAGE:-localhost/godwit}:${GODWIT_IMAGE_TAG:-$version}
out=${1:-${CARGO_TARGET_DIR:-$root/target}/oci/godwit-$version.tar}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)

# Where things lie on this machine must not be in the binary.
RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=$root=/godwit --remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$sysroot=/rust" \
  CFLAGS="-ffile-prefix-map=$root=/godwit -ffile-prefix-map=$cargo_home=/cargo" \
  cargo build --locked --profile image --bin godwit --target "$target" >&2
binary=${CARGO_TARGET_DIR:-$root/target}/$target/image/godwit

image/archive.sh --name "$name" --file "$binary:/godwit" --entrypoint /godwit --user 65532:65532 \
  --label org.opencontainers.image.title=godwit \
  --label "org.opencontainers.image.description=Moves live MySQL-family databases: operator and engine" \
  --label "org.opencontainers.image.version=$version" \
  --label org.opencontainers.image.licenses=Apache-2.0 \
  --label org.opencontainers.image.vendor=Godwit \
  "$out"
