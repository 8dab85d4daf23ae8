export const SECRET_FORMATS: Readonly<Record<string, RegExp>>;
export function scanText(text: string): { format: string; line: number }[];
export function scanRepository(options: {
  cwd: string;
  staged: boolean;
}): { file: string; format: string; line: number }[];
