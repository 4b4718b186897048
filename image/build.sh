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
target_dir=${CARGO_TARGET_DIR:-$root/target}
out=${1:-$target_dir/oci/godwit-$version.tar}
cargo_home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)

# Where things lie on this machine must not be in the binary. Of the rules that fit, compilers take the last.
rust_flags="-C target-feature=+crt-static" c_flags=''
for rule in "$root=/godwit" "$target_dir=/godwit/target" "$cargo_home=/cargo" "$sysroot=/rust"; do
  rust_flags+=" --remap-path-prefix=$rule" c_flags+=" -ffile-prefix-map=$rule"
done
RUSTFLAGS=$rust_flags CFLAGS=$c_flags cargo build --locked --profile image --bin godwit --target "$target" >&2
binary=$target_dir/$target/image/godwit
for path in "$root" "$target_dir" "$cargo_home" "$sysroot" "$HOME"; do
  # Short ones are part of something else by chance, or stand for themselves in the rules above.
  if [[ ${#path} -gt 4 && $path != /godwit* ]] && grep -qaF -e "$path/" "$binary"; then
    echo "image: $path is in the binary, which so differs from one that is built elsewhere:" >&2
    grep -aoE -m 3 -e "${path//./\\.}/[[:print:]]{0,80}" "$binary" | head -n 3 >&2
    exit 1
  fi
done

image/archive.sh --name "$name" --file "$binary:/godwit" --entrypoint /godwit --user 65532:65532 \
  --label org.opencontainers.image.title=godwit \
  --label "org.opencontainers.image.description=Moves live MySQL-family databases: operator and engine" \
  --label "org.opencontainers.image.version=$version" \
  --label org.opencontainers.image.licenses=Apache-2.0 \
  --label org.opencontainers.image.vendor=Godwit \
  "$out"
