/** Aborts when a person or a service manager wants this program to stop, or when the bootstrap above it is gone. */
export function stopSignal(): AbortSignal {
  const stopped = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stopped.abort());
  process.on('disconnect', () => stopped.abort());
  process.channel?.unref(); // a channel that says nothing must not keep a stopped house's process alive
  return stopped.signal;
}

/** Resolves at once when it is aborted already. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
