export const MARKER: string;
export function scanner(): (part: string | Buffer) => string[];
