// Package mail holds the words of mailtwin as types: keys, marks, views, pairs, intents, identity, flags and mailbox
// names. It does no I/O and everyone may import it.
//
// Glossary. An account is a pair of stores that are kept identical, [Local] and [Remote]. A [Box] is a mailbox's name. A
// [Key] names a message inside one mailbox of one store; it is comparable over time only within one epoch. A [Mark]
// says how far a mailbox of a store was surely seen. A [Pair] is one message on both sides, and all pairs of a mailbox
// are its base: the last state both sides agreed on. A [View] is what a store shows now, [Whole] or [Delta]. An
// [Ident] says which message it is, whatever it is called. An [Intent] is written durably before an effect.
package mail
