#!/bin/bash
# `make run`: installs what the build needs, builds, makes two accounts when there are none, says what to do next, and
# starts the server on this machine alone. Ctrl-C stops it. DATA (default: data) and DOMAIN (localhost) may be given.
set -euo pipefail
cd "$(dirname "$0")/.."
data=${DATA:-data}
domain=${DOMAIN:-localhost}
jackdaw=build/jackdaw

make --no-print-directory all
addresses=127.0.0.1
grep -qs '^0*1 ' /proc/net/if_inet6 && addresses+=,::1
options=(--data "$data" --domain "$domain" --set "c2s.address=$addresses" --set s2s.enabled=false)

add_account() {
    printf '    %-24s password  ' "$1@$domain"
    "$jackdaw" user add "$1@$domain" "${options[@]}" 2>/dev/null
}

echo
if [[ -z $("$jackdaw" user list "${options[@]}" 2>/dev/null) ]]; then
    echo "Two accounts have been made; their passwords are shown this once:"
    add_account alice
    add_account bob
else
    echo "Accounts on this server:"
    "$jackdaw" user list "${options[@]}" | sed 's/^/    /'
    echo "A forgotten password: $jackdaw user passwd alice@$domain ${options[*]:0:4}"
fi
cat <<TEXT

Connect, in two other terminals, with any XMPP client, for example
    profanity (apt-get install profanity):   /connect alice@$domain server 127.0.0.1
                                             /connect bob@$domain server 127.0.0.1
        alice then writes   /sub request bob@$domain   bob   /sub allow alice@$domain   and both   /msg ...
    Gajim:   add the account alice@$domain; where it asks for a host, 127.0.0.1 and port 5222
    Dino:    add the account alice@$domain; it looks for the server at $domain itself, and does not ask about certificates:
             the system has to trust this server's (below)

The client asks once whether it may trust the certificate: this server has made one of its own. To be asked by
none, let the client (or the system) trust   $data/certificates/ca.pem

More accounts:   $jackdaw user add carol@$domain ${options[*]:0:4}
What it does:    $jackdaw status ${options[*]:0:4}
The server's data is in $data; Ctrl-C stops the server.

TEXT
exec "$jackdaw" serve "${options[@]}"
