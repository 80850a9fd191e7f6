exec 2>/dev/null
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin:/snap/bin
cut() { awk '{ print substr($0, 1, 240) }'; }
echo '@@ clock'; date +%s
echo '@@ who'; id -un
echo '@@ disk'; df -P -k / /var /tmp /var/log /var/lib/amazon /home | awk 'NR > 1 && !seen[$6]++'
echo '@@ inodes'; df -P -i / /var /tmp /home | awk 'NR > 1 && !seen[$6]++'
echo '@@ memory'; grep -E '^(MemTotal|MemAvailable):' /proc/meminfo
echo '@@ agent'
for unit in amazon-ssm-agent.service snap.amazon-ssm-agent.amazon-ssm-agent.service; do
  systemctl show -p Id,LoadState,ActiveState,SubState,NRestarts,ActiveEnterTimestamp "$unit" | tr '\n' ' '; echo
done
pgrep -l amazon-ssm-agen | head -n 2
echo '@@ sshd'; for unit in ssh.service sshd.service ssh.socket; do echo "$unit $(systemctl is-active "$unit")"; done
echo '@@ ports'; sshd -T | grep -i -E '^(port|listenaddress|allowusers|denyusers|allowgroups|denygroups|pubkeyauthentication|authorizedkeyscommand|authorizedkeysfile) '
if [ -n "$user" ]; then
  echo '@@ user'; getent passwd "$user"
  home=$(getent passwd "$user" | awk -F: '{ print $6 }')
  if [ -n "$home" ]; then
    echo '@@ home'; for file in "$home" "$home/.ssh" "$home/.ssh/authorized_keys"; do stat -c '%a %U %s %n' "$file"; done
    echo '@@ keys'; ssh-keygen -l -f "$home/.ssh/authorized_keys" | cut | head -n 20
  fi
  echo '@@ locked'; passwd -S "$user" | awk '{ print $2 }'; ls /run/nologin /etc/nologin
fi
echo '@@ python'; for name in python3 python; do command -v "$name" && "$name" -V 2>&1; done
echo '@@ diagnostics'
for cli in ssm-cli /usr/bin/ssm-cli /snap/amazon-ssm-agent/current/ssm-cli; do
  if command -v "$cli" >/dev/null; then timeout 15 "$cli" get-diagnostics --output json; break; fi
done
echo '@@ log'; tail -n 400 /var/log/amazon/ssm/amazon-ssm-agent.log | grep -E ' (ERROR|WARN) ' | tail -n 20 | cut
echo '@@ end'
exit 0
