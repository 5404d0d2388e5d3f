"""The tables of paths. `**` is any folders, `~` every home; upper and lower case are one."""

from clawdbox.policy.model import Class

SECRETS = """
# keys for servers and for mail
**/.ssh/**  **/.gnupg/**  **/id_rsa  **/id_dsa  **/id_ecdsa  **/id_ed25519  **/id_ecdsa_sk  **/id_ed25519_sk
**/id_rsa*  **/id_dsa*  **/id_ecdsa*  **/id_ed25519*
**/*.pem  **/*.key  **/*.p12  **/*.pfx  **/*.jks  **/*.keystore  **/*.ppk  **/*.p8  /etc/ssh/ssh_host_*_key
/etc/ssl/private/**  /etc/pki/tls/private/**  /etc/letsencrypt/accounts/**  /etc/wireguard/**  /etc/ipsec.secrets
/etc/ipsec.d/private/**  /etc/krb5.keytab  **/*.keytab  /etc/cloudflared/*.json  **/.config/sops/age/**

# passwords of this machine
/etc/shadow*  /etc/gshadow*  **/shadow  **/gshadow  **/shadow-  **/gshadow-  /etc/security/opasswd
/var/backups/*shadow*  /etc/ppp/*-secrets  /etc/wpa_supplicant/**  /etc/networkmanager/system-connections/**
/var/lib/sss/secrets/**  /etc/mysql/debian.cnf  /etc/postfix/sasl_passwd*  /etc/exim4/passwd.client  **/.htpasswd
/run/secrets/**  /var/run/secrets/**  /run/credentials/**  /etc/credstore/**  /etc/credstore.encrypted/**

# credentials of programs
**/.netrc  **/_netrc  **/.pgpass  **/.my.cnf  **/.mylogin.cnf  **/.git-credentials  **/.config/git/credentials
**/.aws/credentials  **/.aws/sso/**  **/.aws/cli/**  **/.azure/**  **/.config/gcloud/**  **/.boto  **/.s3cfg  **/.oci/**
**/.kube/**  **/kubeconfig  **/*.kubeconfig  /etc/kubernetes/**  /etc/rancher/**  /var/lib/rancher/**/token
**/.docker/config.json  **/.dockercfg  **/.config/containers/auth.json  **/.npmrc  **/.yarnrc.yml  **/.pypirc
**/.gem/credentials  **/.cargo/credentials  **/.cargo/credentials.toml  **/.config/gh/**  **/.config/glab-cli/**
**/.config/hub  **/.vault-token  **/.terraform.d/**  **/.terraformrc  **/.config/rclone/**  **/.rclone.conf
**/.config/hcloud/**  **/.config/doctl/**  **/.fly/**  **/.smbcredentials  **/.curlrc  **/.wgetrc  **/.wakatime.cfg
**/.claude/.credentials.json  **/.codex/auth.json  **/.gemini/oauth_creds.json  **/.openclaw/**  **/.config/op/**
**/.local/share/clawdbox/**  /var/lib/clawdbox/**  **/.clawdbox/**

# settings with passwords in them
**/.env  **/.env.*  **/.env_*  **/.env-*  **/*.env  **/.envrc  **/secrets.yml  **/secrets.yaml  **/secrets.json  **/secrets.toml
**/credentials.json  **/credentials.yml  **/service-account*.json  **/wp-config.php  **/.vault_pass*  **/*.tfstate

# what people typed, and what keeps their passwords
**/.*_history  **/.histfile  **/.zhistory  **/.viminfo  **/.local/share/fish/**  **/.config/fish/fish_history
**/.password-store/**  **/.local/share/keyrings/**  **/.gnome2/keyrings/**  **/*.kdbx  **/.mozilla/**  **/.thunderbird/**
**/.config/google-chrome/**  **/.config/chromium/**  **/.config/bitwarden*/**

# memory, whole disks, environments of processes
/proc/*/environ  /proc/*/task/*/environ  /proc/*/mem  /proc/*/task/*/mem  /proc/kcore  /dev/mem  /dev/kmem  /dev/port  /dev/sd*  /dev/nvme*
/dev/vd*  /dev/xvd*  /dev/mmcblk*  /dev/dm-*  /dev/mapper/**  /dev/md*  /dev/disk/**  /dev/loop*  /dev/block/**
"""

# What looks like the above, and is for everybody.
PUBLIC = """
**/*.pub  **/.ssh/config  **/.ssh/known_hosts*  **/.ssh/authorized_keys*  **/.ssh
**/.env.example  **/.env.sample  **/.env.template  **/.env.dist  **/.env.defaults
**/cert*.pem  **/*cert.pem  **/*chain*.pem  **/ca*.pem  **/dhparam*.pem  /etc/ssl/certs/**  /usr/share/doc/**
/usr/share/ca-certificates/**  /usr/share/man/**  /usr/share/bash-completion/**
/dev/mapper/control  /etc/kubernetes/manifests/**
"""

# What is none of these after all.
PRIVATE = """
**/*key*.pem  **/private/**/*.pem  /etc/ssl/private/**  /etc/pki/tls/private/**
"""

# All that is no disk and no memory below /dev: whatever else there is, may be one.
DEVICES = """
/dev/null  /dev/zero  /dev/full  /dev/random  /dev/urandom  /dev/stdin  /dev/stdout  /dev/stderr  /dev/tty  /dev/ptmx
/dev/pts/**  /dev/fd/**  /dev/shm/**  /dev/mqueue/**  /dev/log  /dev/kmsg  /dev/console  /dev/net/tun
/dev/mapper/control  /dev/watchdog*
"""

# What it means to change a place: the first row that fits counts.
CHANGES = (
    (
        Class.LOCK_OUT,
        "It changes {path}, on which it depends whether you can log in or reach the server.",
        """
/etc/ssh/**  **/.ssh  **/.ssh/authorized_keys*  **/.ssh/rc  **/.ssh/environment  /usr/sbin/sshd  /etc/default/ssh
/etc/passwd*  /etc/shadow*  /etc/group*  /etc/gshadow*  /etc/sudoers  /etc/sudoers.d/**  /etc/doas.conf  /etc/pam.d/**
/etc/pam.conf  /etc/security/**  /etc/nsswitch.conf  /etc/login.defs  /etc/shells  /etc/nologin  /run/nologin
/etc/securetty  /etc/hosts.deny  /etc/hosts.allow  /etc/network/**  /etc/netplan/**  /etc/systemd/network/**
/etc/networkmanager/**  /etc/sysconfig/network*  /etc/sysconfig/network*/**  /etc/dhcpcd.conf  /etc/dhcp/**
/etc/wpa_supplicant/**  /etc/wireguard/**  /etc/openvpn/**  /etc/nftables.conf  /etc/nftables.d/**  /etc/nftables/**
/etc/iptables/**  /etc/sysconfig/iptables  /etc/sysconfig/ip6tables  /etc/ufw/**  /etc/default/ufw  /etc/firewalld/**
/etc/csf/**  /etc/shorewall/**  /etc/fail2ban/**  /etc/pf.conf  /etc/rc.conf  /etc/fstab  /etc/crypttab  /boot
/boot/**  /etc/default/grub  /etc/default/grub.d/**  /etc/grub.d/**  /etc/inittab  /etc/ld.so.preload
/etc/ld.so.conf*  /etc/ld.so.conf.d/**  /lib  /lib64  /bin  /sbin  /usr  /usr/lib  /usr/lib64  /usr/bin  /usr/sbin
/etc  /proc/sysrq-trigger  /dev/watchdog*  /etc/profile  /etc/profile.d/**  /etc/bash.bashrc  /etc/bashrc
/etc/zsh/**  /etc/zshenv  /etc/environment  /lib/x86_64-linux-gnu/**  /usr/lib/x86_64-linux-gnu/**
/usr/lib/aarch64-linux-gnu/**  /lib/ld-*  /lib64/ld-*  /usr/lib/openssh/**
""",
    ),
    (
        Class.DESTRUCTIVE,
        "It writes to the device {path}, over whatever is on it.",
        """
/dev/sd*  /dev/nvme*  /dev/vd*  /dev/xvd*  /dev/mmcblk*  /dev/dm-*  /dev/mapper/**  /dev/md*  /dev/disk/**  /dev/loop*
/dev/mem  /dev/kmem  /dev/port  /dev/block/**  /dev/hd*  /dev/sr*  /dev/mtd*
""",
    ),
    (
        Class.PRIVILEGED,
        "It changes {path}, which decides what later commands run.",
        """
**/.bashrc  **/.bash_profile  **/.bash_login  **/.bash_logout  **/.bash_aliases  **/.profile  **/.zshrc  **/.zshenv
**/.zprofile  **/.zlogin  **/.cshrc  **/.tcshrc  **/.login  **/.kshrc  **/.inputrc  **/.config/fish/**  **/.pam_environment
**/.ssh/**  **/.gitconfig  **/.config/git/**  **/.git/config  **/.git/hooks/**  **/.git/info/**  **/.gitmodules
**/.gitattributes  **/.curlrc  **/.wgetrc  **/.psqlrc  **/.sqliterc  **/.my.cnf  **/.ripgreprc  **/.vimrc  **/.exrc
**/.tmux.conf  **/.npmrc  **/.config/systemd/**  **/.config/autostart/**  **/.config/environment.d/**  ~/bin/**
~/.local/bin/**  ./bin/**  **/.local/bin/**  **/.docker/**  **/.jq  **/.kube/**  **/.config/pip/**  **/.pip/**  **/.terminfo/**
/var/spool/cron/**  /var/spool/at/**  /etc/cron*  /etc/cron*/**  /etc/anacrontab
""",
    ),
    (
        Class.PRIVILEGED,
        "It changes {path}, which belongs to the system.",
        """
/etc/**  /usr/**  /bin/**  /sbin/**  /lib/**  /lib64/**  /opt/**  /proc/**  /sys/**  /var/lib/**  /dev/**  /run/**
/var/run/**  /efi/**  /snap/**  /nix/**
""",
    ),
)
