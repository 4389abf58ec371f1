/** True where one of the patterns is the name, `*` standing for any characters: `gitlab_*`. */
export function matches(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => {
    const [first = '', ...parts] = pattern.split('*');
    if (parts.length === 0) return first === name;
    if (!name.startsWith(first)) return false;
    const last = parts.pop() ?? '';
    let at = first.length;
    for (const part of parts) {
      const found = name.indexOf(part, at);
      if (found === -1) return false;
      at = found + part.length;
    }
    return name.length - last.length >= at && name.endsWith(last);
  });
}
