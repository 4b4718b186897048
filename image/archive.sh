#!/usr/bin/env bash
# Makes an image archive of one layer from a few files, without a container
# engine. `docker load`, `podman load`, `ctr images import` and tools that read
# OCI layouts all take it: it is an OCI layout with docker's manifest.json beside.
#
#   archive.sh --name NAME:TAG --file SOURCE:/PATH... --entrypoint PATH [--user UID:GID]
#              [--label KEY=VALUE...] OUT.tar
#
# The same input gives the same bytes: times are zero (or SOURCE_DATE_EPOCH), owners
# are root, entries are sorted. Prints one line of JSON: name, digest, size, archive.
set -euo pipefail

die() { printf 'archive: error: %s\n' "$*" >&2; exit 1; }

name='' user=0:0 entrypoint='' out='' files=() labels=()
while (($#)); do
  case $1 in
    --name) name=$2; shift 2 ;;
    --file) files+=("$2"); shift 2 ;;
    --entrypoint) entrypoint=$2; shift 2 ;;
    --user) user=$2; shift 2 ;;
    --label) labels+=("$2"); shift 2 ;;
    -*) die "unknown option '$1'" ;;
    *) [[ -z $out ]] || die "one archive only"; out=$1; shift ;;
  esac
done
[[ $name == *:* && -n $entrypoint && -n $out && ${#files[@]} -gt 0 ]] ||
  die "needs --name NAME:TAG, --file, --entrypoint and the archive to write"

seconds=${SOURCE_DATE_EPOCH:-0}
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
umask 022

text() {
  local value=${1//\\/\\\\}
  printf '"%s"' "${value//\"/\\\"}"
}

# Modes and owners are the layer's, not those of whoever built it.
pack() { # DIRECTORY OUT ENTRY...
  local directory=$1 into=$2
  shift 2
  tar -C "$directory" --format=ustar --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$seconds" -cf "$into" "$@"
}

digest_of() { sha256sum <"$1" | cut -d ' ' -f 1; }

# store FILE: into the layout under its digest, which is printed.
store() {
  local digest
  digest=$(digest_of "$1")
  mv -- "$1" "$work/layout/blobs/sha256/$digest"
  printf '%s' "$digest"
}

size_of() { stat -c %s "$work/layout/blobs/sha256/$1"; }

mkdir -p "$work/root" "$work/layout/blobs/sha256"
for file in "${files[@]}"; do
  source=${file%%:*} path=${file#*:}
  [[ -f $source && $path == /* ]] || die "--file wants SOURCE:/PATH, not '$file'"
  mode=644
  [[ ! -x $source ]] || mode=755
  install -D -m "$mode" "$source" "$work/root$path"
done

pack "$work/root" "$work/layer.tar" .
diff_id=$(digest_of "$work/layer.tar")
gzip -9 -n "$work/layer.tar"
layer=$(store "$work/layer.tar.gz")

created=$(date -u -d "@$seconds" +%Y-%m-%dT%H:%M:%SZ)
entries=''
for label in "${labels[@]}"; do entries+=${entries:+,}$(text "${label%%=*}"):$(text "${label#*=}"); done
printf '{"created":"%s","architecture":"amd64","os":"linux","config":{"User":%s,"Entrypoint":[%s],"Env":["PATH=/"],"WorkingDir":"/","Labels":{%s}},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"%s","created_by":"image/archive.sh"}]}' \
  "$created" "$(text "$user")" "$(text "$entrypoint")" "$entries" "$diff_id" "$created" >"$work/config"
config=$(store "$work/config")

printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%d},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%d}]}' \
  "$config" "$(size_of "$config")" "$layer" "$(size_of "$layer")" >"$work/manifest"
manifest=$(store "$work/manifest")

printf '{"imageLayoutVersion":"1.0.0"}' >"$work/layout/oci-layout"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%d,"platform":{"architecture":"amd64","os":"linux"},"annotations":{"io.containerd.image.name":%s,"org.opencontainers.image.ref.name":%s}}]}' \
  "$manifest" "$(size_of "$manifest")" "$(text "$name")" "$(text "${name##*:}")" >"$work/layout/index.json"
printf '[{"Config":"blobs/sha256/%s","RepoTags":[%s],"Layers":["blobs/sha256/%s"]}]' "$config" "$(text "$name")" "$layer" \
  >"$work/layout/manifest.json"

pack "$work/layout" "$work/archive.tar" blobs index.json manifest.json oci-layout
mkdir -p -- "$(dirname -- "$out")"
mv -- "$work/archive.tar" "$out"
printf '{"name":%s,"digest":"sha256:%s","size":%d,"archive":%s}\n' "$(text "$name")" "$manifest" "$(stat -c %s "$out")" "$(text "$out")"
