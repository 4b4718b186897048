#!/usr/bin/env bash
# certs.sh DIR: a certificate authority of its own and what tests of TLS need.
#
#   ca-cert.pem                        give this to clients
#   server-cert.pem, server-key.pem    localhost, 127.0.0.1, db.example.test
#   wrong-name-*.pem                   same authority, other.example.test only
#   client-cert.pem, client-key.pem    for REQUIRE X509
#
# Keys are RSA, which the oldest server here still reads. A complete DIR is left
# as it is.
set -euo pipefail

say() { printf 'lab: %s\n' "$*" >&2; }

if (($# != 1)); then
  say "usage: certs.sh DIR"
  exit 2
fi
if [[ -e $1/complete ]]; then exit 0; fi

if ! command -v openssl >/dev/null; then
  say "installing openssl"
  DEBIAN_FRONTEND=noninteractive apt-get -qq -y install openssl >/dev/null ||
    { apt-get -qq update >&2 && DEBIAN_FRONTEND=noninteractive apt-get -qq -y install openssl >/dev/null; }
fi

mkdir -p "$1"
cd -- "$1"

days=3650

openssl req -x509 -newkey rsa:2048 -nodes -sha256 -days $days -subj '/CN=Godwit lab CA' \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
  -keyout ca-key.pem -out ca-cert.pem 2>openssl.log

# leaf NAME COMMON-NAME USAGE [SAN]
leaf() {
  local name=$1 common_name=$2 usage=$3 san=${4:-}
  {
    echo 'basicConstraints=critical,CA:FALSE'
    echo 'keyUsage=critical,digitalSignature,keyEncipherment'
    echo "extendedKeyUsage=$usage"
    [[ -z $san ]] || echo "subjectAltName=$san"
  } >"$name.ext"
  openssl req -newkey rsa:2048 -nodes -sha256 -subj "/CN=$common_name" \
    -keyout "$name-key.pem" -out "$name.csr" 2>>openssl.log
  openssl x509 -req -in "$name.csr" -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -sha256 \
    -days $days -extfile "$name.ext" -out "$name-cert.pem" 2>>openssl.log
  rm -f -- "$name.ext" "$name.csr"
}

leaf server 'Godwit lab server' serverAuth 'DNS:localhost,IP:127.0.0.1,DNS:db.example.test'
leaf wrong-name 'Godwit lab other server' serverAuth 'DNS:other.example.test'
leaf client 'Godwit lab client' clientAuth
chmod 600 -- *-key.pem
rm -f -- openssl.log ca-cert.srl
: >complete
