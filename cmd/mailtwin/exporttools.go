package main

import (
	"fmt"
	"slices"

	"mailtwin/internal/mail"
	"mailtwin/internal/migrate"
	"mailtwin/internal/migrate/mbsync"
	"mailtwin/internal/migrate/offlineimap"
	"mailtwin/internal/ui"
)

var (
	toMbsync = exportTool{
		name: "mbsync", program: "mbsync", config: "isyncrc", state: "state", fill: fillMbsync,
		args: func(config string) []string { return []string{"-c", config, "-a"} },
	}
	toOfflineIMAP = exportTool{
		name: "offlineimap", program: "offlineimap", config: "offlineimaprc", state: "metadata", fill: fillOfflineIMAP,
		args: func(config string) []string { return []string{"-c", config, "-o"} },
	}
)

// deflate is what compress = "off" leaves out.
const deflate = "COMPRESS=DEFLATE"

type mbsyncExport struct{ *mbsync.Export }

func fillMbsync(j *exportJob) (exported, error) {
	c := j.t.Stores[mail.Remote].IMAP
	disable := slices.Clone(c.Disable)
	if c.Compress == "off" && !slices.Contains(disable, deflate) {
		disable = append(disable, deflate)
	}
	return mbsyncExport{&mbsync.Export{
		Name: migrate.AccountName(j.t.Name),
		Host: c.Host, Port: c.Port, TLS: c.TLS, CA: c.CA, User: c.User, Auth: c.Auth,
		PasswordCommand: c.PasswordCommand, TokenCommand: c.TokenCommand, Cert: c.Cert, Key: c.Key, Disable: disable,
		Root: j.local.Path, Layout: j.local.Layout, Inbox: j.local.Inbox, InfoSep: j.local.InfoSep,
		State: j.state, Before15: j.release.Before(1, 5), ExpungeLocal: j.t.ExpungeLocal, ExpungeRemote: j.t.ExpungeRemote,
		RemoveMailboxes: j.t.DeleteMailboxes != "never",
		Folders:         j.base.Folders, Seen: j.base.Seen, Validity: uint32(j.now.Unix()), Renamed: j.base.Renamed,
	}}, nil
}

func (x mbsyncExport) Config() string { return x.Isyncrc() }

func (x mbsyncExport) Check() ([]ui.ExportedBox, error) { return mbsyncBoxes(x.Export.Check()) }

func (x mbsyncExport) Write() ([]ui.ExportedBox, error) { return mbsyncBoxes(x.Export.Write()) }

func mbsyncBoxes(all []mbsync.Written, err error) ([]ui.ExportedBox, error) {
	boxes := make([]ui.ExportedBox, len(all))
	for i, w := range all {
		boxes[i] = ui.ExportedBox{Name: string(w.Box), Pairs: w.Pairs, Renamed: w.Renamed, Missing: w.Missing, Why: w.Skipped}
	}
	return boxes, err
}

type offlineIMAPExport struct{ *offlineimap.Export }

func fillOfflineIMAP(j *exportJob) (exported, error) {
	c := j.t.Stores[mail.Remote].IMAP
	if j.release.Before(6, 5, 6) {
		return nil, mail.WithHint(fmt.Errorf("OfflineIMAP %v is too old: its files have another form", j.release), "6.5.6 is the first that can go on")
	}
	return offlineIMAPExport{&offlineimap.Export{
		Name: migrate.AccountName(j.t.Name),
		Host: c.Host, Port: c.Port, TLS: c.TLS, CA: c.CA, User: c.User, Auth: c.Auth,
		PasswordCommand: c.PasswordCommand, TokenCommand: c.TokenCommand, Cert: c.Cert, Key: c.Key,
		Root: j.local.Path, Layout: j.local.Layout, Inbox: j.local.Inbox, InfoSep: j.local.InfoSep,
		UTF8: j.local.Names == "utf8", Delim: j.sep, Prefix: j.prefix, Metadata: j.state, Plain: j.release.Before(7, 1),
		Folders: j.base.Folders, Renamed: j.base.Renamed,
	}}, nil
}

func (x offlineIMAPExport) Config() string { return x.Offlineimaprc() }

func (x offlineIMAPExport) Check() ([]ui.ExportedBox, error) {
	return offlineIMAPBoxes(x.Export.Check())
}

func (x offlineIMAPExport) Write() ([]ui.ExportedBox, error) {
	return offlineIMAPBoxes(x.Export.Write())
}

func offlineIMAPBoxes(all []offlineimap.Written, err error) ([]ui.ExportedBox, error) {
	boxes := make([]ui.ExportedBox, len(all))
	for i, w := range all {
		boxes[i] = ui.ExportedBox{Name: string(w.Box), Pairs: w.Pairs, Renamed: w.Renamed, Missing: w.Missing, Why: w.Skipped}
	}
	return boxes, err
}
