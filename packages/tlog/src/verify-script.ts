import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';

/** The sources that become verify.mjs, in order of need. None imports anything but those before it. */
const SOURCES = [
  'core.ts',
  'epoch-leaf.ts',
  'evidence-core.ts',
  'policy-core.ts',
  'succession-core.ts',
  'approval-core.ts',
  'bundle-files.ts',
  'bundle-run.ts',
  'bundle-trust.ts',
  'bundle-epochs.ts',
  'bundle-approvals.ts',
  'bundle-core.ts',
  'bundle-report.ts',
] as const;

const HEADER = `// Offline verifier of a log bundle: one file, no dependencies, Node 20 or later.
// node verify.mjs [FOLDER] --key KEY [--policy FILE] [--witness-key KEY] [--approved-at ORIGIN]
// exit: 0 verified, 1 refused, 2 only with the bundle's own key, 3 the witnesses asked for have not seen all of it
import { createHash, createPublicKey, verify } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
`;

const MAIN = `
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const primitives = {
  sha256: (data) => createHash('sha256').update(data).digest(),
  ed25519Verify: ({ publicKey, message, signature }) => {
    if (publicKey.length !== 32 || signature.length !== 64) return false;
    try {
      const key = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, publicKey]), format: 'der', type: 'spki' });
      return verify(null, message, key, signature);
    } catch {
      return false;
    }
  },
  passkeyVerify: ({ spki, message, signature }) => {
    try {
      const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
      return verify(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', message, key, signature);
    } catch {
      return false;
    }
  },
};
function readFolder(folder, prefix = '') {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const name = prefix + entry.name;
    return entry.isDirectory() ? readFolder(folder, name + '/') : [[name, readFileSync(join(folder, name))]];
  });
}
const keys = [];
const approvedAt = [];
let policy;
let folder = dirname(fileURLToPath(import.meta.url));
for (let at = 2; at < process.argv.length; at += 1) {
  const word = process.argv[at];
  const next = process.argv[at + 1];
  if ((word === '--key' || word === '--witness-key') && next !== undefined) keys.push(process.argv[(at += 1)]);
  else if (word === '--approved-at' && next !== undefined) approvedAt.push(process.argv[(at += 1)]);
  else if (word === '--policy' && next !== undefined) policy = readFileSync(process.argv[(at += 1)], 'utf8');
  else if (!word.startsWith('--')) folder = word;
  else {
    process.stderr.write('usage: node verify.mjs [FOLDER] --key KEY [--policy FILE] [--witness-key KEY] [--approved-at ORIGIN]\\n');
    process.exit(1);
  }
}
const report = await verifyBundleFiles(primitives, { files: new Map(readFolder(folder)), keys, policy, approvedAt });
process.stdout.write(formatReport(report));
process.exitCode = report.exitCode;
`;

/** The function warns once that it is young; a verifier's user should not have to wonder about that. */
function withoutTypes(source: string): string {
  const warn = process.emitWarning;
  process.emitWarning = () => undefined;
  try {
    return stripTypeScriptTypes(source, { mode: 'strip' });
  } finally {
    process.emitWarning = warn;
  }
}

/** Types go, and so do the module seams: what was imported now stands above. */
function flatten(name: string): string {
  const source = readFileSync(new URL(name, import.meta.url), 'utf8');
  return withoutTypes(source)
    .replaceAll(/^import [\s\S]*?;$/gm, '')
    .replaceAll(/^export (?=(async )?function|const|class)/gm, '')
    .replaceAll(/[ \t]+$/gm, '')
    .replaceAll(/\n{3,}/g, '\n\n');
}

let cached: string | undefined;

/** The text of verify.mjs, made from the very sources that this program verifies with. */
export function verifierScript(): string {
  cached ??= `${HEADER}\n${SOURCES.map(flatten).join('\n')}${MAIN}`;
  return cached;
}

/** verify.sh: POSIX shell, openssl (3.0 or later) and coreutils. */
export const SHELL_VERIFIER = String.raw`#!/bin/sh
# Checks this bundle with openssl and coreutils alone.
# sh verify.sh [KEY [TSA_CA_FILE]]   KEY: the log's verifier key, or a PEM file, from anywhere but this bundle
# TSA_CA_FILE: certificates (PEM) of the authority whose RFC 3161 time tokens you accept
# exit: 0 verified, 1 refused, 2 verified, but only with the key in this bundle
set -eu
LC_ALL=C; export LC_ALL
cd "$(dirname "$0")"
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
refuse() { echo "verdict: refused"; echo "refused: $*"; exit 1; }
lf='
'

# The key: 32 raw bytes behind the fixed head of an Ed25519 SubjectPublicKeyInfo (RFC 8410).
code=0; source='given by you'
if [ $# -ge 1 ]; then key=$1; else
  code=2; source='from the bundle itself'; key=
  while read -r word value; do [ "$word" = log ] && key=$value; done < policy
fi
if [ -f "$key" ]; then
  openssl pkey -pubin -in "$key" -outform DER > "$work/key" 2>/dev/null || refuse "$key is no public key"
else
  printf '\060\052\060\005\006\003\053\145\160\003\041\000' > "$work/key"
  rest=${'$'}{key#*+}; printf %s "${'$'}{rest#*+}" | base64 -d 2>/dev/null | tail -c +2 >> "$work/key" || refuse 'the key is malformed'
fi
[ "$(wc -c < "$work/key")" -eq 44 ] || refuse 'the key is malformed'

# The checkpoint: origin, size, root, a blank line, signatures.
{ read -r origin; read -r size; read -r root; read -r blank; } < checkpoint || refuse 'checkpoint is malformed'
[ -z "$blank" ] || refuse 'checkpoint is malformed'
head -n 3 checkpoint > "$work/text"
signed=no
tail -n +5 checkpoint > "$work/lines"
while read -r dash name value; do
  [ "$dash" = "—" ] && [ "$name" = "$origin" ] || continue
  printf %s "$value" | base64 -d 2>/dev/null | tail -c +5 > "$work/signature" || continue
  if openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key" -rawin -in "$work/text" -sigfile "$work/signature" > /dev/null 2>&1; then signed=yes; fi
done < "$work/lines"
[ "$signed" = yes ] || refuse 'the checkpoint is not signed with this key'

# Leaf to root (RFC 9162 section 2.1.3.2).
sum() { openssl dgst -sha256 -binary; }
check() { # proof file, entry file, expected index or -
  { read -r head; read -r extra; read -r index; } < "$1" || refuse "$1 is malformed"
  [ "$head" = c2sp.org/tlog-proof@v1 ] || refuse "$1 is malformed"
  case $extra in 'extra '*) ;; *) refuse "$1 is malformed" ;; esac
  case $index in 'index '*) index=${'$'}{index#index } ;; *) refuse "$1 is malformed" ;; esac
  [ "$3" = - ] || [ "$index" = "$3" ] || refuse "$1 proves index $index"
  [ "${'$'}{extra#extra }" = "$(base64 -w 0 < "$2")" ] || refuse "$1 carries another entry"
  { printf '\000'; cat "$2"; } | sum > "$work/node"
  [ "$index" -lt "$size" ] || refuse "$1 points behind the log"
  fn=$index; sn=$((size - 1)); lines=3
  tail -n +4 "$1" > "$work/path"
  while read -r hash; do
    lines=$((lines + 1))
    [ -n "$hash" ] || break
    [ "$sn" -gt 0 ] || refuse "$1 is too long"
    printf %s "$hash" | base64 -d > "$work/hash" 2>/dev/null || refuse "$1 is malformed"
    [ "$(base64 < "$work/hash")" = "$hash" ] || refuse "$1 is malformed"
    if [ $((fn % 2)) -eq 1 ] || [ "$fn" -eq "$sn" ]; then
      { printf '\001'; cat "$work/hash" "$work/node"; } | sum > "$work/next"
      while [ $((fn % 2)) -eq 0 ] && [ "$fn" -ne 0 ]; do fn=$((fn / 2)); sn=$((sn / 2)); done
    else
      { printf '\001'; cat "$work/node" "$work/hash"; } | sum > "$work/next"
    fi
    mv "$work/next" "$work/node"; fn=$((fn / 2)); sn=$((sn / 2))
  done < "$work/path"
  [ "$sn" -eq 0 ] || refuse "$1 is too short"
  [ "$(base64 < "$work/node")" = "$root" ] || refuse "$2 is not in the log at index $index"
  [ "$(tail -n +$((lines + 1)) "$1" | sha256sum)" = "$(sha256sum < checkpoint)" ] || refuse "$1 belongs to another checkpoint"
}

sha256sum --check --quiet --strict SHA256SUMS > /dev/null 2>&1 || refuse 'SHA256SUMS does not fit the files'
digest=$(sha256sum < SHA256SUMS); digest=${'$'}{digest%% *}
case $(cat export.json) in *"\"bundle\":\"$digest\""*) ;; *) refuse 'the log entry of this export names another bundle' ;; esac
check export.tlog-proof export.json -

# The range that the manifest (covered by the sums) promises.
manifest=$(cat manifest.json)
from=${'$'}{manifest#*\"from\":}; from=${'$'}{from%%,*}
to=${'$'}{manifest#*\"to\":}; to=${'$'}{to%%\}*}
case $manifest in *"\"origin\":\"$origin\""*) ;; *) refuse 'manifest.json names another log' ;; esac
index=$from; verified=0
while [ "$index" -lt "$to" ]; do
  name=$(printf %012d "$index")
  [ -f "entries/$name.json" ] && [ -f "proofs/$name.tlog-proof" ] || refuse "entry $index is missing"
  want=$index
  check "proofs/$name.tlog-proof" "entries/$name.json" "$want"
  index=$((want + 1)); verified=$((verified + 1))
done

# Time tokens: each must be about the checkpoint text beside it, and that text must stand in the proof of the same number.
tokens=0; held=0
for token in epochs/*.tsr; do
  [ -f "$token" ] || continue
  name=${'$'}{token%.tsr}; tokens=$((tokens + 1))
  sed '1,/^$/d' "$name.tlog-proof" | head -n 3 > "$work/stated"
  cmp -s "$work/stated" "$name.txt" || refuse "$name.txt is not the checkpoint of its proof"
  [ $# -ge 2 ] || continue
  openssl ts -verify -data "$name.txt" -in "$token" -CAfile "$2" > /dev/null 2>&1 || refuse "$token is no time token of that authority over $name.txt"
  held=$((held + 1))
done

if [ "$code" -eq 0 ]; then echo 'verdict: verified'; else echo 'verdict: verified-with-own-key-only'; fi
echo "log: $origin"
echo "key ($source): $key"
echo "time tokens: $tokens present, $held verified"
[ ! -f epochs.json ] || echo 'not checked: witnesses, slots and times (node verify.mjs and auditrax verify do)'
[ -f epochs.json ] || echo 'no outside witness: 0 independent witnesses'
echo "entries: $((to - from)) expected, $verified verified, 0 missing"
echo "range: [$from, $to) of $size entries in the log"
[ "$code" -eq 0 ] || echo "This only shows that the bundle agrees with itself. Get the key of the log elsewhere and pass it.$lf"
exit "$code"
`;
