# A Gitea with a repository for missions, for scripts to source: it starts the binary that LAZARUS_TEST_GITEA names in a
# directory of its own, and stops it when the script ends. `$place` is that directory, `$url` its address; `as LOGIN METHOD
# PATH [JSON]` asks its API.

: "${LAZARUS_TEST_GITEA:?names no Gitea binary; set it to the path of one}"

missing=()
for tool in curl git jq; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || missing+=(chromium)
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" = 0 ]; then as_root=(); else as_root=(sudo); fi
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" apt-get install -q -y --no-install-recommends "${missing[@]}"
fi

place=$(mktemp -d)
port=${LAZARUS_SHOTS_PORT:-3787}
url=http://127.0.0.1:$port
if curl -s --noproxy '*' "$url" >/dev/null; then
  echo "something else answers at $url; name a free port by LAZARUS_SHOTS_PORT" >&2
  exit 1
fi
stop() {
  kill "$server" 2>/dev/null && wait "$server" || true
  rm -rf "$place"
}

# It refuses to run as root unless it is told.
export GITEA_I_AM_BEING_UNSAFE_RUNNING_AS_ROOT=true
gitea() { "$LAZARUS_TEST_GITEA" -c "$place/app.ini" "$@"; }

cat > "$place/app.ini" <<INI
APP_NAME = Gitea
RUN_MODE = prod
WORK_PATH = $place
[server]
HTTP_ADDR = 127.0.0.1
HTTP_PORT = $port
ROOT_URL = $url/
DISABLE_SSH = true
OFFLINE_MODE = true
[database]
DB_TYPE = sqlite3
PATH = $place/gitea.db
[repository]
ROOT = $place/repos
[security]
INSTALL_LOCK = true
SECRET_KEY = test-only
[service]
DISABLE_REGISTRATION = true
[mailer]
ENABLED = false
[indexer]
ISSUE_INDEXER_TYPE = db
[cron.update_checker]
ENABLED = false
[other]
SHOW_FOOTER_VERSION = false
SHOW_FOOTER_TEMPLATE_LOAD_TIME = false
[log]
MODE = console
LEVEL = Warn
INI
gitea migrate >/dev/null 2>"$place/migrate.log"
"$LAZARUS_TEST_GITEA" -c "$place/app.ini" web >"$place/web.log" 2>&1 &
server=$!
trap stop EXIT
until curl -sf --noproxy '*' "$url/api/v1/version" >/dev/null; do
  kill -0 "$server" || { cat "$place/web.log" >&2; exit 1; }
  sleep 0.2
done

account() { # LOGIN [--admin]
  gitea admin user create --username "$1" --password "$1-password" --email "$1@example.com" --must-change-password=false "${@:2}" >/dev/null
  gitea admin user generate-access-token -u "$1" -t t --scopes all --raw 2>/dev/null | tail -n 1 > "$place/$1.token"
}
as() { # LOGIN METHOD PATH [JSON]
  curl -sf --noproxy '*' -X "$2" "$url/api/v1$3" -H "Authorization: token $(cat "$place/$1.token")" \
    -H 'Content-Type: application/json' ${4:+-d "$4"}
}
put() { # FILE PATH: puts a file into the repository
  as owner POST "/repos/owner/missions/contents/$2" \
    "$(jq -n --arg content "$(base64 -w 0 < "$1")" '{content: $content, message: "Ask for missions", branch: "main"}')" >/dev/null
}
file() { # LOGIN TITLE [FIELD=ANSWER…]: files the form on its page; prints the issue's number
  local login=$1 title=$2 jar="$place/$1.jar" template=.gitea/ISSUE_TEMPLATE/mission-proposal.yaml csrf labels answer
  local at="$url/owner/missions/issues/new?template=$template"
  csrf() { grep -o 'name="_csrf" value="[^"]*"' "$place/page" | head -n 1 | cut -d'"' -f4 || true; }
  curl -s --noproxy '*' -c "$jar" "$url/user/login" -o "$place/page"
  curl -s --noproxy '*' -b "$jar" -c "$jar" "$url/user/login" -o /dev/null -d "_csrf=$(csrf)" -d "user_name=$login" -d "password=$login-password"
  curl -s --noproxy '*' -b "$jar" -c "$jar" "$at" -o "$place/page"
  labels=$(as owner GET /repos/owner/missions/labels | jq -r '[.[] | select(.name == "kind/mission-proposal").id] | join(",")')
  local fields=(-F "_csrf=$(csrf)" -F "title=$title" -F "template-file=$template" -F "label_ids=$labels"
    -F form-field-stale-after=1 -F form-field-acknowledgements-0=on)
  for answer in "${@:3}"; do fields+=(-F "form-field-$answer"); done
  curl -s --noproxy '*' -b "$jar" -c "$jar" "$url/owner/missions/issues/new" "${fields[@]}" | jq -r .redirect | grep -o '[0-9]*$'
}

account owner --admin
account bot
account morgana
as owner POST /user/repos '{"name": "missions", "auto_init": true, "default_branch": "main"}' >/dev/null
as owner PUT /repos/owner/missions/collaborators/bot '{"permission": "write"}'
put "$home/.gitea/ISSUE_TEMPLATE/mission-proposal.yaml" .gitea/ISSUE_TEMPLATE/mission-proposal.yaml
