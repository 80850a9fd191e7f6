# Lets a key log in as one user until a time, by a line in that user's authorized_keys; takes away such lines of ours
# whose time is over, and nothing else. For sh, as root or as that user. Before it stand
#
#   user=     [a-z_][a-z0-9_-]{0,31}
#   key=      algorithm and Base64, a blank between them
#   seconds=  for how long
#
# Where something is not as expected there is one line on stderr, status 3, and nothing has been changed. What is the
# user's is read and written as that user: a link leads nowhere where the user could not have gone without us.
set -eu
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL

refuse() {
    echo "$1" >&2
    exit 3
}

case $user in
    '' | *[!a-z0-9_-]* | [!a-z_]*) refuse "that is no user name for Run Command: small letters, digits, _ and -" ;;
esac
[ "${#user}" -le 32 ] || refuse "that is no user name for Run Command: it is longer than 32 letters"
case $key in
    *[!A-Za-z0-9+/=\ -]*) refuse "that is no public key" ;;
esac
printf '%s\n' "$key" | grep -qxE 'ssh-(ed25519|rsa) [A-Za-z0-9+/]+=*' || refuse "that is no public key"
entry=$(getent passwd "$user") || refuse "there is no user $user"
uid=$(printf '%s\n' "$entry" | cut -d : -f 3)
home=$(printf '%s\n' "$entry" | cut -d : -f 6)
case $home in
    /?*) ;;
    *) refuse "$user has no home directory" ;;
esac

version=$(sshd -V 2>&1 | sed -n 's/.*OpenSSH_\([0-9][0-9]*\)\.\([0-9][0-9]*\).*/\1 \2/p' | head -n 1)
case $version in
    '') refuse "the version of sshd is not known, and before 7.7 it knows no expiry-time" ;;
    [0-6]' '* | 7' '[0-6]) refuse "sshd is older than 7.7 and knows no expiry-time" ;;
esac
shown=$(sshd -T -C "user=$user,host=localhost,addr=127.0.0.1" 2>/dev/null || sshd -T 2>/dev/null) ||
    refuse "sshd does not say where it looks for keys"
is_usual=
set -f
for file in $(printf '%s\n' "$shown" | sed -n 's/^authorizedkeysfile //p'); do
    case $file in
        .ssh/authorized_keys | %h/.ssh/authorized_keys) is_usual=1 ;;
        "$home/.ssh/authorized_keys") is_usual=1 ;;
        /home/%u/.ssh/authorized_keys) [ "$home" != "/home/$user" ] || is_usual=1 ;;
    esac
done
[ -n "$is_usual" ] || refuse "sshd looks for keys elsewhere than in .ssh/authorized_keys (AuthorizedKeysFile)"

as_user=$(
    cat <<'END'
set -eu
umask 077
user=$1 home=$2 key=$3 seconds=$4
refuse() {
    echo "$1" >&2
    exit 3
}
unfit() {
    refuse "$home/.ssh/authorized_keys $1"
}
cd "$home" 2>/dev/null || refuse "$user cannot enter $home"
[ ! -L .ssh ] || refuse "$home/.ssh is a link"
[ -d .ssh ] || mkdir .ssh 2>/dev/null || refuse "$home/.ssh cannot be made"
[ -O .ssh ] || refuse "$home/.ssh does not belong to $user"
cd .ssh 2>/dev/null || refuse "$user cannot enter $home/.ssh"
command -v flock >/dev/null || refuse "flock is missing"
exec 9<.
flock -w 10 9 || refuse "another push is at $home/.ssh for too long"
[ ! -L authorized_keys ] || unfit "is a link"
if [ -e authorized_keys ]; then
    [ -f authorized_keys ] || unfit "is no file"
    [ -O authorized_keys ] || unfit "does not belong to $user"
    [ -r authorized_keys ] || unfit "cannot be read"
    [ "$(wc -c <authorized_keys)" -le 1048576 ] || unfit "is larger than 1 MiB"
fi

# In this machine's time, which is how sshd reads it; where an hour comes twice, the second is not meant.
due=$(($(date +%s) + seconds))
until=$(date -d "@$due" '+%Y-%m-%d %H:%M:%S' 2>/dev/null) || refuse "date does not know times to come"
[ "$(date -d "$until" +%s)" -eq "$due" ] || refuse "the clock is about to be set back an hour; try again then"
until=$(printf '%s' "$until" | tr -d ' :-')
now=$(date +%Y%m%d%H%M%S)

ours='" ssh-[a-z0-9]* [A-Za-z0-9+/]*=* ssmssh-push$'
drop=
rm -f .authorized_keys.ssmssh.*
new=$(mktemp .authorized_keys.ssmssh.XXXXXX 2>/dev/null) || refuse "$home/.ssh cannot be written"
trap 'rm -f "$new"' EXIT
trap 'exit 3' HUP INT TERM
if [ -e authorized_keys ]; then
    for time in $(sed -n "s|^expiry-time=\"\\([0-9]\\{14\\}\\)$ours|\\1|p" authorized_keys); do
        [ "$time" -gt "$now" ] || drop="$drop
\\|^expiry-time=\"$time$ours|d"
    done
    cp -p authorized_keys "$new" || unfit "cannot be copied"
fi
# At the top, so that the last line stays as it is, with or without an end.
printf 'expiry-time="%s" %s ssmssh-push\n' "$until" "$key" >"$new" || unfit "cannot be written"
[ ! -e authorized_keys ] || sed "$drop" authorized_keys >>"$new" || unfit "cannot be written"
mv -f "$new" authorized_keys || unfit "cannot be replaced"
echo "until $until"
END
)
if [ "$(id -u)" = "$uid" ]; then
    exec sh -c "$as_user" ssmssh "$user" "$home" "$key" "$seconds"
fi
[ "$(id -u)" = 0 ] || refuse "the agent runs neither as root nor as $user"
command -v runuser >/dev/null || refuse "runuser is missing, so nothing can be written as $user"
exec runuser -u "$user" -- sh -c "$as_user" ssmssh "$user" "$home" "$key" "$seconds"
