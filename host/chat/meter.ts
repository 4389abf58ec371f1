/** How full the model's context is, in tokens. */
export interface Meter {
  used: number;
  limit: number;
}

/** `3.1k/8k`; on a narrow terminal `38 %`. */
export function meterText({ used, limit }: Meter, columns: number): string {
  if (columns < 44) return `${Math.round((used / limit) * 100)} %`;
  return `${thousands(used, 1)}/${thousands(limit, 0)}`;
}

/** From here on what is said next may not fit any more. */
export const isNearlyFull = ({ used, limit }: Meter) => used / limit >= 0.8;

function thousands(tokens: number, digits: number): string {
  if (tokens < 1000) return String(tokens);
  return `${(tokens / 1000).toFixed(tokens < 10_000 ? digits : 0)}k`;
}
