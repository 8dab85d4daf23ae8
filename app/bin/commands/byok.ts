import { lstat, open, readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { AppError, parseUuid, systemRandom, type Random } from '@auditrax/base';
import { keyPolicyStatements, wrapKeyMaterial } from '@auditrax/seal/aws-kms';

const MATERIAL_BYTES = 32;
/** Nothing that is read here is longer; a wrong path must not fill the memory. */
const INPUT_BYTES_MAX = 64 * 1024;

const HELP = `Usage: auditrax byok new-material --out FILE
       auditrax byok wrap --public-key FILE --material FILE --out FILE
       auditrax byok policy --principal ARN --tenant UUID

Tools for a key of your own in AWS KMS. They need no network and no running house, so run them where
the key material is.

new-material  makes 32 random bytes in a file that only you can read. Keep a copy safe: when AWS has lost the material
              (deleted, expired), only the very same bytes bring your data back.
wrap          packs the material under the public key of the import parameters, as RSA_AES_KEY_WRAP_SHA_256, so that only
              AWS KMS can open it. The public key may be DER, or base64 as the AWS command line prints it (RSA_4096).
policy        prints the two statements for the policy of your KMS key: our principal may use the key for this tenant
              alone.

docs/runbooks/byok.md has the steps around them.
`;

type CommandErrorCode = 'byok_file' | 'byok_usage';

function commandError(code: CommandErrorCode, message: string): AppError<CommandErrorCode> {
  return new AppError<CommandErrorCode>(code, message);
}

async function readBounded(path: string): Promise<Buffer> {
  const facts = await lstat(path).catch(() => undefined);
  if (!facts?.isFile()) throw commandError('byok_file', `${path} is not a file`);
  if (facts.size > INPUT_BYTES_MAX) throw commandError('byok_file', `${path} is far too long for what it should be`);
  return readFile(path);
}

/** Key material, from a file that nobody else can read. */
async function readMaterial(path: string): Promise<Buffer> {
  const bytes = await readBounded(path);
  const { mode } = await lstat(path);
  if ((mode & 0o077) !== 0)
    throw commandError('byok_file', `others may read ${path}: chmod 600 it, or make new material`);
  if (bytes.length !== MATERIAL_BYTES) {
    throw commandError('byok_file', `${path} has ${bytes.length} bytes, key material has ${MATERIAL_BYTES}, raw`);
  }
  return bytes;
}

/** Never over a file that is there: it might be the only copy of a key. */
async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const handle = await open(path, 'wx', 0o600).catch((cause: NodeJS.ErrnoException) => {
    throw commandError('byok_file', cause.code === 'EEXIST' ? `${path} exists already` : `cannot write ${path}`);
  });
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function derOf(bytes: Buffer): Buffer {
  const text = bytes.toString('latin1').replace(/\s/g, '');
  return /^[A-Za-z0-9+/]+={0,2}$/.test(text) ? Buffer.from(text, 'base64') : bytes;
}

function required(value: string | undefined, option: string): string {
  if (value === undefined) throw commandError('byok_usage', `--${option} is missing (auditrax byok --help)`);
  return value;
}

interface Values {
  readonly out?: string | undefined;
  readonly material?: string | undefined;
  readonly 'public-key'?: string | undefined;
  readonly principal?: string | undefined;
  readonly tenant?: string | undefined;
}

async function newMaterial(values: Values, random: Random): Promise<string> {
  const path = required(values.out, 'out');
  const material = Buffer.from(random.bytes(MATERIAL_BYTES));
  await writeNew(path, material);
  material.fill(0);
  return `${MATERIAL_BYTES} random bytes in ${path}. Keep a copy safe: nobody else has one.\n`;
}

async function wrap(values: Values, random: Random): Promise<string> {
  const path = required(values.out, 'out');
  const publicKey = derOf(await readBounded(required(values['public-key'], 'public-key')));
  const material = await readMaterial(required(values.material, 'material'));
  try {
    const packed = wrapKeyMaterial({ publicKey, material, random });
    await writeNew(path, packed);
    return `${packed.length} bytes in ${path}: send them with the import token within 24 hours of asking for it.\n`;
  } finally {
    material.fill(0);
  }
}

async function policy(values: Values): Promise<string> {
  const tenantId = parseUuid(required(values.tenant, 'tenant'));
  if (tenantId === undefined) throw commandError('byok_usage', '--tenant is not a UUID: the key screen shows it');
  const principalArn = required(values.principal, 'principal');
  if (!/^arn:aws[a-z-]*:iam::\d{12}:(user|role)\/[\w+=,.@/-]+$/.test(principalArn)) {
    throw commandError('byok_usage', '--principal is not the ARN of a user or a role');
  }
  return `${JSON.stringify(keyPolicyStatements({ principalArn, tenantId }), undefined, 2)}\n`;
}

const TOOLS: ReadonlyMap<string, (values: Values, random: Random) => Promise<string>> = new Map([
  ['new-material', newMaterial],
  ['wrap', wrap],
  ['policy', policy],
]);

export async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h' },
      out: { type: 'string' },
      material: { type: 'string' },
      'public-key': { type: 'string' },
      principal: { type: 'string' },
      tenant: { type: 'string' },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const tool = TOOLS.get(positionals[0] ?? '');
  if (tool === undefined || positionals.length !== 1) {
    process.stderr.write(HELP);
    return 2;
  }
  process.stdout.write(await tool(values, systemRandom));
  return 0;
}
