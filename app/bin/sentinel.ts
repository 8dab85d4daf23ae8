import { generateKeyPairSync } from 'node:crypto';
import { openFloor } from './floor.ts';
import { serve } from './serve.ts';
const floor = await openFloor('sentinel');
floor.member.announce({ pageKey: generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }).x! });
await serve(floor, 'sentinel', { rooms: [], problems: [] });
