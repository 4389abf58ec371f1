// In the place of the clients' packages where tests are bundled (run.mjs): results are looked through, as a model or an
// editor would see them.
export function observed(Client) {
  for (const name of ['callTool', 'readResource', 'getPrompt', 'listTools', 'complete']) {
    const method = Client.prototype[name];
    Client.prototype[name] = async function (asked, ...more) {
      try {
        const result = await method.call(this, asked, ...more);
        globalThis.kuzniaResult?.(`${name} ${asked?.name ?? asked?.uri ?? ''}`, result);
        return result;
      } catch (error) {
        globalThis.kuzniaResult?.(`${name} ${asked?.name ?? asked?.uri ?? ''}`, {
          error: error?.message,
          data: error?.data,
        });
        throw error;
      }
    };
  }
}
