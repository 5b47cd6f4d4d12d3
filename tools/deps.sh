#!/bin/bash
# Installs the Debian packages for a purpose: tools/deps.sh build|test|lint|fuzz|bench ...
# Does nothing, quickly, when all are there. Packages come from Debian 12 only.
set -euo pipefail

build='gcc libc6-dev make meson ninja-build pkg-config libuv1-dev libexpat1-dev libssl-dev libicu-dev libsqlite3-dev
       libpq-dev libconfuse-dev libjansson-dev libunbound-dev libldap-dev libpam0g-dev libavahi-client-dev libseccomp-dev'
# The servers that ours federates with and whose processes it takes in are tests' peers; their services are kept from starting.
test='libcmocka-dev postgresql-15 slapd ldap-utils nsd unbound ldnsutils python3 python3-pytest python3-pytest-xdist python3-slixmpp python3-openssl openssl ca-certificates util-linux
      prosody ejabberd jabberd2 biboumi profanity python3-nbxmpp dino-im xvfb xdotool man-db zsh strace systemd avahi-daemon avahi-utils dbus iproute2'
lint='clang-format clang-tidy universal-ctags binutils python3 git'
fuzz='clang libclang-rt-14-dev llvm'
# The peers that bench/run.py measures beside us; their services are kept from starting (bench/run.py).
bench='prosody lua-dbi-sqlite3 ejabberd erlang-p1-sqlite3 jabberd2 postgresql-15 python3 unbound openssl util-linux'

missing=()
for purpose in "$@"; do
    case $purpose in
        build|test|lint|fuzz|bench) ;;
        *) echo "tools/deps.sh: unknown purpose '$purpose' (build, test, lint, fuzz, bench)" >&2; exit 2 ;;
    esac
    for package in ${!purpose}; do
        status=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
        [[ $status == ii* ]] || missing+=("$package")
    done
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "Jackdaw is built on Debian 12. This system has no apt-get; install by hand: ${missing[*]}" >&2
    exit 1
fi
as_root=()
if [[ $(id -u) -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
        printf 'These Debian packages are missing: %s\nInstall them as root:\n    apt-get install --no-install-recommends %s\n' \
               "${missing[*]}" "${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi
echo "Installing Debian packages: ${missing[*]}"
# Tests and benchmarks start daemons by themselves; Debian's own would take their ports (nsd and unbound: 53).
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi
install() {
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=120 -qq install -y --no-install-recommends "${missing[@]}" </dev/null >/dev/null
}
# The package lists of a fresh machine or container are empty or old.
if ! install 2>/dev/null; then
    "${as_root[@]}" apt-get -o DPkg::Lock::Timeout=120 -qq update </dev/null
    install || { echo "apt-get could not install: ${missing[*]}" >&2; exit 1; }
fi
