package main

import "github.com/spf13/cobra"

// newConfigHelp is a topic: mailtwin help config.
func newConfigHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "config",
		Short: "How the configuration file is written",
		Long: `The configuration is a TOML file at $XDG_CONFIG_HOME/mailtwin/config.toml, usually ~/.config/mailtwin/config.toml.
It has one table for each account:

  [account.work]
  remote = "imaps://me@imap.example.com"       # imaps:// is TLS, imap:// is STARTTLS
  local = "maildir:~/Mail/work"
  password_command = "pass show mail/work"     # its first line of output is the password; without it you are asked

Both sides may be any store: two servers, or two Maildirs, work as well.

Of an account:
  mailboxes = ["*", "!Spam"]     which mailboxes; later entries win, "!" leaves out, "*" is anything, "%" anything
                                 without "/", "\\Junk" the mailbox with that role. \All, \Flagged and \Important are
                                 left out unless named.
  delete_mailboxes = "empty"     a mailbox that is gone on one side is removed on the other when it is empty there in
                                 two runs; or "never", "all". One that was renamed is not gone: the other side follows
  expunge = "none"               remove messages marked \Deleted: "none", "local", "remote", "both"; "plain" permits
                                 EXPUNGE on servers without UIDPLUS; or a list of these
  max_deletes = 0                hold back more deletions than this in one run; 0: no such limit
  retries = 5                    how often a server that was lost in the middle of a sync is tried again in vain: after a
                                 second, then twice as long each time; what gets on begins to count anew
  after_sync = "notmuch new"     shell command to run when a sync changed something; the summary is JSON on its stdin

Of a server (one side can be a table of its own: remote = {url = "imaps://imap.example.com", user = "me@example.com"}):
  user, password_command, token_command (prints an OAuth 2.0 access token), auth (a SASL mechanism, or LOGIN)
  tls = "none"                   needed for imap:// without any encryption
  tls_ca, tls_cert, tls_key      files (PEM): additional authorities; the client's certificate and key
  connections = 4                at most, at the same time; fewer if the server lets no more in
  compress = "auto"              where the link was measured to be slow (COMPRESS=DEFLATE); or "on", "off"
  timeout = "60s"                how long a silent server is waited for
  disable_extensions = [...]     extensions of IMAP not to use, as they stand in CAPABILITY
  delete_to = "trash"            move what was deleted locally to the mailbox with the role \Trash, instead of removing
                                 it for good; or the name of a mailbox, "Deleted Items"

Of a Maildir:
  layout = "nested"              folders in folders; or "maildir++" (.Work.Invoices) or "flat" (Work.Invoices)
  names = "utf8"                 how names are written on disk; or "mutf7"
  inbox = "INBOX"                the folder that is INBOX; "." is the root itself
  info_separator = ":"           between a file's name and its flags; ";" or "!" where the file system lacks ":"
  keep_deleted = "30d"           how long mailtwin undo can bring back what a sync removed here; days or weeks ("8w")
  keep_deleted_size = "1GB"      the most that it may take; the last 7 days are kept whatever their size

Secrets are never in the file. Unknown keys and wrong values are errors with the line and what was probably meant.`,
	}
}
