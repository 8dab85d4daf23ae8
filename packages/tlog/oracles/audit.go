// Audits a published log with Go's own checksum-database packages (golang.org/x/mod/sumdb), which know nothing of the
// program that wrote it: every entry, every tile, proofs through tiles, held checkpoints, proofs and consistency bodies
// of bundles, cosignatures.
// usage: audit FOLDER QUORUM KEY...   QUORUM: how many witness keys must have co-signed; KEY: verifier keys
// FOLDER: checkpoint, tile/<L>/<N>[.p/<W>], tile/entries/<N>[.p/<W>], held/*, proofs/*.tlog-proof, consistency/*.add-checkpoint
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const height = 8

func fail(format string, args ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func decode(text string) []byte {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		fail("base64: %v", err)
	}
	return data
}

func hashOf(text string) (hash tlog.Hash) {
	if copy(hash[:], decode(text)) != tlog.HashSize {
		fail("a hash has another length")
	}
	return hash
}

func read(parts ...string) []byte {
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		fail("%v", err)
	}
	return data
}

// witness checks timestamped cosignatures (C2SP tlog-cosignature), which sumdb's note does not know.
type witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

func (w witness) Name() string    { return w.name }
func (w witness) KeyHash() uint32 { return w.hash }
func (w witness) Verify(message, signature []byte) bool {
	if len(signature) != 72 {
		return false
	}
	head := fmt.Sprintf("cosignature/v1\ntime %d\n", binary.BigEndian.Uint64(signature))
	return ed25519.Verify(w.key, append([]byte(head), message...), signature[8:])
}

type keys struct {
	log       note.Verifier
	verifiers note.Verifiers
	witnesses map[string]bool
}

func readKeys(texts []string) keys {
	known := keys{witnesses: map[string]bool{}}
	var list []note.Verifier
	for _, text := range texts {
		if verifier, err := note.NewVerifier(text); err == nil {
			list = append(list, verifier)
			if known.log == nil {
				known.log = verifier
			}
			continue
		}
		parts := strings.SplitN(text, "+", 3)
		material := decode(parts[2])
		sum := sha256.Sum256(append([]byte(parts[0]+"\n"), material...))
		hash, err := strconv.ParseUint(parts[1], 16, 32)
		if err != nil || material[0] != 4 || binary.BigEndian.Uint32(sum[:]) != uint32(hash) {
			fail("no verifier key: %s", text)
		}
		list = append(list, witness{parts[0], uint32(hash), material[1:]})
		known.witnesses[parts[0]] = true
	}
	known.verifiers = note.VerifierList(list...)
	return known
}

func openCheckpoint(text []byte, known keys) (tlog.Tree, int) {
	opened, err := note.Open(text, known.verifiers)
	if err != nil {
		fail("checkpoint: %v", err)
	}
	signed, cosigned := false, 0
	for _, signature := range opened.Sigs {
		signed = signed || signature.Name == known.log.Name() && signature.Hash == known.log.KeyHash()
		if known.witnesses[signature.Name] {
			cosigned++
		}
	}
	lines := strings.Split(opened.Text, "\n")
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || !signed || lines[0] != known.log.Name() {
		fail("checkpoint: not signed by its log")
	}
	return tlog.Tree{N: size, Hash: hashOf(lines[2])}, cosigned
}

// store holds every stored hash of the log, as sumdb numbers them.
type store []tlog.Hash

func (s *store) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for at, index := range indexes {
		if index >= int64(len(*s)) {
			return nil, fmt.Errorf("no hash %d", index)
		}
		hashes[at] = (*s)[index]
	}
	return hashes, nil
}

func entryPath(n int64, width int64) string {
	tile := tlog.Tile{H: height, L: 0, N: n, W: int(width)}
	return strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
}

func tilePath(tile tlog.Tile) string {
	return strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
}

func auditEntries(folder string, size int64) *store {
	hashes := &store{}
	for at := int64(0); at < size; {
		width := size - at
		if width > 256 {
			width = 256
		}
		bundle := read(folder, entryPath(at/256, width))
		for count := int64(0); count < width; count++ {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				fail("entries: bundle %d is cut short", at/256)
			}
			length := 2 + int(binary.BigEndian.Uint16(bundle))
			added, err := tlog.StoredHashes(at+count, bundle[2:length], hashes)
			if err != nil {
				fail("entries: %v", err)
			}
			*hashes = append(*hashes, added...)
			bundle = bundle[length:]
		}
		if len(bundle) > 0 {
			fail("entries: bundle %d has more than it should", at/256)
		}
		at += width
	}
	return hashes
}

// auditTiles compares every tile of this size; sumdb also names the narrower ones of every size before.
func auditTiles(folder string, size int64, hashes *store) int {
	compared := 0
	for _, tile := range tlog.NewTiles(height, 0, size) {
		width := size>>uint(height*tile.L) - tile.N<<height
		if int64(tile.W) != width && tile.W != 1<<height {
			continue
		}
		expected, err := tlog.ReadTileData(tile, hashes)
		if err != nil {
			fail("tiles: %v", err)
		}
		if !bytes.Equal(expected, read(folder, tilePath(tile))) {
			fail("tiles: %s differs", tilePath(tile))
		}
		compared++
	}
	return compared
}

// published reads tiles as a client would: from files, trusting none of them.
type published string

func (p published) Height() int { return height }
func (p published) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (p published) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for at, tile := range tiles {
		content, err := os.ReadFile(filepath.Join(string(p), tilePath(tile)))
		if err != nil {
			return nil, err
		}
		data[at] = content
	}
	return data, nil
}

func checkInclusions(folder string, tree tlog.Tree, hashes *store) int {
	reader := tlog.TileHashReader(tree, published(folder))
	checked := 0
	for index := int64(0); index < tree.N; index += 1 + tree.N/200 {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		if err != nil {
			fail("inclusion of %d through tiles: %v", index, err)
		}
		leaf := (*hashes)[tlog.StoredHashIndex(0, index)]
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, leaf); err != nil {
			fail("inclusion of %d: %v", index, err)
		}
		checked++
	}
	return checked
}

func checkHeld(folder string, tree tlog.Tree, known keys) int {
	paths, _ := filepath.Glob(filepath.Join(folder, "held", "*"))
	for _, path := range paths {
		old, _ := openCheckpoint(read(path), known)
		if old.N > tree.N {
			fail("held: the log is shorter than it was")
		}
		proof, err := tlog.ProveTree(tree.N, old.N, tlog.TileHashReader(tree, published(folder)))
		if err != nil {
			fail("held %d: %v", old.N, err)
		}
		if err := tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash); err != nil {
			fail("held %d: %v", old.N, err)
		}
	}
	return len(paths)
}

func hashLines(lines []string) (hashes []tlog.Hash) {
	for _, line := range lines {
		hashes = append(hashes, hashOf(line))
	}
	return hashes
}

func checkProofs(folder string, known keys) int {
	paths, _ := filepath.Glob(filepath.Join(folder, "proofs", "*.tlog-proof"))
	for _, path := range paths {
		parts := strings.SplitN(string(read(path)), "\n\n", 2)
		lines := strings.Split(parts[0], "\n")
		if lines[0] != "c2sp.org/tlog-proof@v1" {
			fail("proofs: %s", path)
		}
		leaf := decode(strings.TrimPrefix(lines[1], "extra "))
		index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
		if err != nil {
			fail("proofs: %v", err)
		}
		tree, _ := openCheckpoint([]byte(parts[1]), known)
		proof := tlog.RecordProof(hashLines(lines[3:]))
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(leaf)); err != nil {
			fail("proofs: %s: %v", filepath.Base(path), err)
		}
	}
	return len(paths)
}

func checkConsistency(folder string, known keys) int {
	paths, _ := filepath.Glob(filepath.Join(folder, "consistency", "*.add-checkpoint"))
	for _, path := range paths {
		parts := strings.SplitN(string(read(path)), "\n\n", 2)
		lines := strings.Split(parts[0], "\n")
		size, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "old "), 10, 64)
		if err != nil {
			fail("consistency: %v", err)
		}
		old, _ := openCheckpoint(read(folder, "held", fmt.Sprint(size)), known)
		tree, _ := openCheckpoint([]byte(parts[1]), known)
		if err := tlog.CheckTree(tlog.TreeProof(hashLines(lines[1:])), tree.N, tree.Hash, old.N, old.Hash); err != nil {
			fail("consistency: %s: %v", filepath.Base(path), err)
		}
	}
	return len(paths)
}

func main() {
	folder := os.Args[1]
	quorum, err := strconv.Atoi(os.Args[2])
	if err != nil {
		fail("quorum: %v", err)
	}
	known := readKeys(os.Args[3:])
	tree, cosigned := openCheckpoint(read(folder, "checkpoint"), known)
	if cosigned < quorum {
		fail("cosignatures: %d of %d", cosigned, quorum)
	}
	hashes := auditEntries(folder, tree.N)
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil || root != tree.Hash {
		fail("root: the entries do not give it")
	}
	tiles := auditTiles(folder, tree.N, hashes)
	inclusions := checkInclusions(folder, tree, hashes)
	held := checkHeld(folder, tree, known)
	proofs := checkProofs(folder, known)
	bodies := checkConsistency(folder, known)
	fmt.Printf("entries %d tiles %d inclusions %d held %d proofs %d consistency %d cosignatures %d\n",
		tree.N, tiles, inclusions, held, proofs, bodies, cosigned)
}
