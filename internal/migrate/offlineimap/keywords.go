package offlineimap

import (
	"io"
	"path/filepath"
	"strconv"
	"strings"
)

// letters are the keywords that letters stand for in the whole Maildir. OfflineIMAP has one list for all folders, and each folder has
// its own in dovecot-keywords; a letter or a keyword on which two folders do not agree is left out.
func (x *Export) letters() (words [26]string) {
	var spoiled [26]bool
	at := map[string]int{}
	for _, f := range x.Folders {
		for letter, word := range readKeywords(filepath.Join(f.Dir, "dovecot-keywords")) {
			key := strings.ToLower(word)
			if word == "" {
				continue
			}
			if i, ok := at[key]; ok && i != letter {
				spoiled[i], spoiled[letter] = true, true
			}
			if words[letter] != "" && !strings.EqualFold(words[letter], word) {
				spoiled[letter] = true
			}
			words[letter], at[key] = word, letter
		}
	}
	for i := range words {
		if spoiled[i] {
			words[i] = ""
		}
	}
	return words
}

// readKeywords reads Dovecot's file, lines "0 name" for the letter a and so on; what is wrong in it counts as absent.
func readKeywords(path string) (words [26]string) {
	f, err := openFile(path)
	if err != nil {
		return words
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxLine))
	if err != nil {
		return words
	}
	for line := range strings.Lines(string(text)) {
		number, word, ok := strings.Cut(strings.TrimRight(line, "\n"), " ")
		n, err := strconv.Atoi(number)
		if ok && err == nil && n >= 0 && n < len(words) && !strings.ContainsFunc(word, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			words[n] = word
		}
	}
	return words
}
