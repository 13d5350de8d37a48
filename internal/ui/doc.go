// Package ui turns what the engine tells into words for people and JSON for programs: progress, summaries, dry runs,
// differences, status, errors. It decides nothing. Start with [New]; what servers and messages say goes through [Clean]
// before it reaches a terminal.
package ui
