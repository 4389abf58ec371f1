/**
 * Settings of every git of ours, stronger than any file: nothing that a foreign hand wrote into .git/config may start a
 * program, and nothing but HTTP(S) is spoken.
 */
export const gitSettings: Record<string, string> = {
  'core.hooksPath': '/dev/null',
  'core.fsmonitor': 'false',
  'core.untrackedCache': 'false',
  'core.quotePath': 'false',
  'core.sshCommand': 'false',
  'core.protectHFS': 'true',
  'core.protectNTFS': 'true',
  'credential.helper': '',
  'credential.useHttpPath': 'false',
  'diff.external': '',
  'diff.ignoreSubmodules': 'all',
  'fetch.recurseSubmodules': 'false',
  'push.recurseSubmodules': 'no',
  'push.followTags': 'false',
  'push.gpgSign': 'false',
  // An empty value empties the list (git-config(1)).
  'push.pushOption': '',
  'submodule.recurse': 'false',
  'gc.auto': '0',
  'maintenance.auto': 'false',
  'commit.gpgSign': 'false',
  'tag.gpgSign': 'false',
  'log.showSignature': 'false',
  'merge.verifySignatures': 'false',
  'protocol.allow': 'never',
  'protocol.http.allow': 'always',
  'protocol.https.allow': 'always',
  'http.sslVerify': 'true',
  'transfer.bundleURI': 'false',
};
