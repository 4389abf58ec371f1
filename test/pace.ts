/**
 * CPU time of this process since the call, in ms. A test whose bound is about work done here asks this and not the
 * clock on the wall: that counts what every other program of the machine takes, and fails on a busy one.
 */
export function cpuClock(): () => number {
  const since = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(since);
    return (user + system) / 1000;
  };
}
