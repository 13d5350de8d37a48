// Package config reads the configuration file: accounts, each a pair of stores, in TOML. Start with [Load]. Every fault in
// the file is told with its line and, where there is one, its cure; all faults at once. Nothing secret is ever in the file
// or in the values of this package, only the commands that tell it.
package config
