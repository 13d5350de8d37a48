// Package sift finds duplicates in mailboxes on disk and removes them: it reads what package dedupe asks for, in parallel and in
// constant buffers, remembers it for the next run, and carries out what package dedupe decides. Start with [Find], then [Remove].
//
// What is promised. Find changes nothing but what is remembered. Remove reads every copy and the message that stays again, whole,
// before the copy goes; the flags of all are on the one that stays, and that is durable, before any copy is moved to the attic.
// Stopped anywhere, nothing is lost, and the next run goes on.
package sift
