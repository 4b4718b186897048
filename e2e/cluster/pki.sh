# shellcheck shell=bash
# The certificates of a cluster: one authority, one key a component, all of them
# thrown away with the cluster. Sourced by cluster.sh.

make_key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1" 2>/dev/null; }

# certificate DIR NAME SUBJECT [NAMES]: signed for both ends of a connection.
certificate() {
  local pki=$1/pki name=$2 subject=$3 names=${4:-}
  make_key "$pki/$name.key"
  {
    printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n'
    [[ -z $names ]] || printf 'subjectAltName=%s\n' "$names"
  } >"$pki/$name.ext"
  openssl req -new -key "$pki/$name.key" -subj "$subject" 2>/dev/null |
    openssl x509 -req -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -set_serial "0x$(openssl rand -hex 8)" -days 3650 \
      -extfile "$pki/$name.ext" -out "$pki/$name.crt" 2>/dev/null
}

# kubeconfig DIR NAME: for the certificate of that name.
kubeconfig() {
  local dir=$1 name=$2 context
  context=godwit-$(basename -- "$dir")
  # Valid YAML as well; kubectl and every client library read it.
  (
    umask 077
    printf '{"apiVersion":"v1","kind":"Config","current-context":"%s","contexts":[{"name":"%s","context":{"cluster":"%s","user":"%s"}}],"clusters":[{"name":"%s","cluster":{"server":"%s","certificate-authority-data":"%s"}}],"users":[{"name":"%s","user":{"client-certificate-data":"%s","client-key-data":"%s"}}]}\n' \
      "$context" "$context" "$context" "$name" "$context" "$(server_of "$dir")" "$(base64 -w0 <"$dir/pki/ca.crt")" \
      "$name" "$(base64 -w0 <"$dir/pki/$name.crt")" "$(base64 -w0 <"$dir/pki/$name.key")" >"$dir/$name.kubeconfig"
  )
}

# client DIR NAME SUBJECT: a certificate and a kubeconfig.
client() {
  certificate "$1" "$2" "$3"
  kubeconfig "$1" "$2"
}

# make_pki DIR HOST: what every mode needs. HOST is the API server's address.
make_pki() {
  local dir=$1 host=$2 pki=$1/pki
  mkdir -m 700 -- "$pki"
  make_key "$pki/ca.key"
  openssl req -x509 -new -key "$pki/ca.key" -days 3650 -subj "/CN=$(basename -- "$dir")" -out "$pki/ca.crt" \
    -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature 2>/dev/null
  make_key "$pki/sa.key"
  openssl pkey -in "$pki/sa.key" -pubout -out "$pki/sa.pub"
  certificate "$dir" apiserver /CN=kube-apiserver \
    "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local,DNS:localhost,IP:127.0.0.1,IP:$host,IP:$SERVICE_API"
  client "$dir" admin /O=system:masters/CN=admin
}
