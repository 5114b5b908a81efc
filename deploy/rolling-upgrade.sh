#!/bin/sh
# Replaces Touchstone's proxies behind HAProxy one by one, so that no user's request fails:
#
#     deploy/rolling-upgrade.sh 9081 9082 9083 9084
#
# Each is taken out in HAProxy, its answers in flight end, it is restarted, answers for its health, and is taken in again.
# If one does not come back, the script stops there: the others serve, and what was not touched is the old version. Run it
# again when that is mended: it begins anew, and takes in again what it had left out.
# As root, or as a member of HAProxy's group who may restart the units. docs/how-to/load-balancer.md has the whole story.
#
#   SOCKET    of HAProxy's run-time interface      (/run/haproxy/admin.sock)
#   BACKEND   name in HAProxy's file               (proxies); its servers are named proxy-PORT
#   DRAIN_S   longest wait for answers in flight   (60); then the proxy's own shutdown_grace_s begins
#   READY_S   longest wait for the new process     (60)
#   RESTART   command that is given the port       (systemctl restart touchstone-proxy@PORT)
#   PYTHON    any Python 3                         (/opt/touchstone/bin/python)
set -eu

SOCKET=${SOCKET:-/run/haproxy/admin.sock}
BACKEND=${BACKEND:-proxies}
DRAIN_S=${DRAIN_S:-60}
READY_S=${READY_S:-60}
PYTHON=${PYTHON:-/opt/touchstone/bin/python}

say() { printf '%s\n' "$*"; }
stop() { printf 'rolling-upgrade: %s\n' "$*" >&2; exit 1; }
now() { date +%s; }

# Sends a text to a socket's path or to HOST:PORT and prints what comes back.
talk() {
    "$PYTHON" -I -S -c '
import socket, sys
path = "/" in sys.argv[1]
with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as s:
    s.settimeout(5)
    host, _, port = sys.argv[1].rpartition(":")
    s.connect(sys.argv[1] if path else (host, int(port)))
    s.sendall(sys.argv[2].encode() + b"\r\n" * (1 if path else 2))
    while piece := s.recv(65536):
        sys.stdout.buffer.write(piece)
' "$1" "$2"
}

haproxy() { talk "$SOCKET" "$1" 2>/dev/null || stop "HAProxy does not answer on $SOCKET"; }

# Prints one column of `show stat` for the proxy on a port: 5 is its requests in flight, 18 its state.
column() {
    haproxy "show stat" | awk -F, -v backend="$BACKEND" -v server="proxy-$1" -v column="$2" \
        '$1 == backend && $2 == server { print $column }'
}

in_flight() { column "$1" 5; }
state() { column "$1" 18; }

# Prints how many servers besides the one on a port HAProxy sends requests to.
others() {
    haproxy "show stat" | awk -F, -v backend="$BACKEND" -v server="proxy-$1" \
        '$1 == backend && $2 != "BACKEND" && $2 != server && $18 == "UP" { n++ } END { print n + 0 }'
}

# Says, without HAProxy, whether the process on a port serves.
serves() {
    talk "127.0.0.1:$1" "GET /_touchstone/healthz HTTP/1.0" 2>/dev/null | head -n 1 | grep -q " 200 "
}

set_state() {
    answer=$(haproxy "set server $BACKEND/proxy-$1 state $2")
    [ -z "$answer" ] || stop "HAProxy: $answer"
}

restart() {
    if [ -n "${RESTART:-}" ]; then
        $RESTART "$1"
    else
        systemctl restart "touchstone-proxy@$1"
    fi
}

upgrade() {
    port=$1
    [ "$(others "$port")" -gt 0 ] || stop "$port: no other proxy is in service; it was left as it is"
    set_state "$port" drain
    until=$(($(now) + DRAIN_S))
    while [ "$(in_flight "$port")" -gt 0 ] && [ "$(now)" -lt "$until" ]; do sleep 0.2; done
    say "$port: taken out, $(in_flight "$port") in flight; restarting"

    restart "$port" || stop "$port: cannot be restarted; it stays taken out, the others serve"
    until=$(($(now) + READY_S))
    until serves "$port"; do
        [ "$(now)" -lt "$until" ] || stop "$port: does not serve after $READY_S s; it stays taken out, the others serve"
        sleep 0.2
    done

    set_state "$port" ready
    until [ "$(state "$port")" = UP ]; do
        [ "$(now)" -lt "$until" ] || stop "$port: serves, but HAProxy does not see it"
        sleep 0.2
    done
    say "$port: in service"
}

[ $# -ge 1 ] || stop "name the ports of the proxies"
for port in "$@"; do
    [ -n "$(state "$port")" ] || stop "$port: HAProxy has no server $BACKEND/proxy-$port; nothing was done"
done
for port in "$@"; do upgrade "$port"; done
say "all $# are replaced"
