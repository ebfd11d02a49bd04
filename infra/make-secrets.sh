#!/bin/sh
# Makes the secrets that compose.yaml hands to its services, once: random, in the folder `secrets` beside this file, or in
# the one that is named. Nobody but the owner may look into the folder; the files in it are for the containers' users as well.
set -eu
umask 022
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"
random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }
keep() {
  [ -e "$folder/$1" ] && return
  printf '%s' "$2" >"$folder/$1.new"
  chmod 444 "$folder/$1.new"
  mv "$folder/$1.new" "$folder/$1"
}
keep postgres-password "$(random 24)"
keep database-url "postgresql://vigil:$(cat "$folder/postgres-password")@postgres:5432/vigil"
keep s3-access-key "$(random 10)"
keep s3-secret-key "$(random 24)"
