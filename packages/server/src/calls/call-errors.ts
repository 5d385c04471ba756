/** The caller disconnected, or does not read, so nobody receives a response. */
export class CallerGoneError extends Error {
  override readonly name = 'CallerGoneError';
  override readonly message = 'The caller disconnected.';
}

/** The call took longer than the Integration allows. */
export class CallTooLongError extends Error {
  override readonly name = 'TimeoutError';
  override readonly message = 'The call took too long.';
}
