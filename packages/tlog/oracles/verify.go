// Verifies the proofs of an unpacked bundle with Go's own checksum-database packages: golang.org/x/mod/sumdb.
// usage: verify KEY FOLDER [TILES_FOLDER SIZE]; prints how many proofs and tile hashes were accepted.
package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func fail(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func decode(text string) []byte {
	bytes, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		fail("base64: %v", err)
	}
	return bytes
}

func hashOf(text string) (hash tlog.Hash) {
	if copy(hash[:], decode(text)) != tlog.HashSize {
		fail("a hash has %d bytes", tlog.HashSize)
	}
	return hash
}

func openCheckpoint(text string, verifiers note.Verifiers) tlog.Tree {
	opened, err := note.Open([]byte(text), verifiers)
	if err != nil {
		fail("checkpoint: %v", err)
	}
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		fail("size: %v", err)
	}
	return tlog.Tree{N: size, Hash: hashOf(lines[2])}
}

func checkProof(path string, verifiers note.Verifiers) {
	content, err := os.ReadFile(path)
	if err != nil {
		fail("%v", err)
	}
	parts := strings.SplitN(string(content), "\n\n", 2)
	lines := strings.Split(parts[0], "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		fail("%s: not a tlog-proof", path)
	}
	leaf := decode(strings.TrimPrefix(lines[1], "extra "))
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	if err != nil {
		fail("%s: %v", path, err)
	}
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		proof = append(proof, hashOf(line))
	}
	tree := openCheckpoint(parts[1], verifiers)
	if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaf)); err != nil {
		fail("%s: %v", path, err)
	}
}

func main() {
	verifier, err := note.NewVerifier(os.Args[1])
	if err != nil {
		fail("key: %v", err)
	}
	verifiers := note.VerifierList(verifier)
	paths, _ := filepath.Glob(filepath.Join(os.Args[2], "proofs", "*.tlog-proof"))
	for _, path := range append(paths, filepath.Join(os.Args[2], "export.tlog-proof")) {
		checkProof(path, verifiers)
	}
	fmt.Printf("%d proofs accepted\n", len(paths)+1)
}
