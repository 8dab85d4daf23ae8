import { refusal } from './refusal.ts';

/** Reads the members of a request with AWS's answers for what is missing or of another type. */
export class Input {
  readonly #members: Readonly<Record<string, unknown>>;

  constructor(body: Buffer) {
    let parsed: unknown;
    try {
      parsed = body.length === 0 ? {} : JSON.parse(body.toString('utf8'));
    } catch {
      parsed = undefined;
    }
    if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
      throw refusal('SerializationException', 'The body is not a JSON object.');
    }
    this.#members = parsed as Record<string, unknown>;
  }

  text(name: string): string {
    return this.optionalText(name) ?? this.#missing(name);
  }

  optionalText(name: string): string | undefined {
    return this.#typed(name, (value): value is string => typeof value === 'string');
  }

  optionalNumber(name: string): number | undefined {
    return this.#typed(name, (value): value is number => typeof value === 'number' && Number.isFinite(value));
  }

  flag(name: string): boolean {
    return this.#typed(name, (value): value is boolean => typeof value === 'boolean') ?? false;
  }

  /** Base64 with 1 to `length_bytes_max` bytes. */
  bytes(name: string, length_bytes_max: number): Buffer {
    const text = this.text(name);
    const bytes = Buffer.from(text, 'base64');
    if (bytes.toString('base64') !== text) throw refusal('SerializationException', `${name} is not base64.`);
    if (bytes.length < 1 || bytes.length > length_bytes_max) {
      throw refusal('ValidationException', `${name} must have 1 to ${length_bytes_max} bytes.`);
    }
    return bytes;
  }

  texts(name: string): readonly string[] {
    const isTexts = (value: unknown): value is string[] =>
      Array.isArray(value) && value.every((one) => typeof one === 'string');
    return this.#typed(name, isTexts) ?? [];
  }

  map(name: string): Readonly<Record<string, string>> | undefined {
    const isMap = (value: unknown): value is Record<string, string> =>
      typeof value === 'object' && value !== null && Object.values(value).every((one) => typeof one === 'string');
    return this.#typed(name, isMap);
  }

  /** An object inside the request. */
  inner(name: string): Input | undefined {
    const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null;
    const value = this.#typed(name, isObject);
    return value && new Input(Buffer.from(JSON.stringify(value), 'utf8'));
  }

  #typed<T>(name: string, is: (value: unknown) => value is T): T | undefined {
    const value = this.#members[name];
    if (value === undefined || value === null) return undefined;
    if (!is(value)) throw refusal('SerializationException', `${name} has another type.`);
    return value;
  }

  #missing(name: string): never {
    throw refusal('ValidationException', `1 validation error detected: Value null at '${name}': must not be null`);
  }
}
