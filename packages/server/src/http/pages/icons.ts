/** An icon for success, as HTML. */
export const CHECK =
  '<svg class="good" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">' +
  '<circle cx="12" cy="12" r="10"/><path d="m7.5 12.5 3 3 6-6.5"/></svg>';

/** An icon for failure, as HTML. */
export const CROSS =
  '<svg class="bad" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" aria-hidden="true">' +
  '<circle cx="12" cy="12" r="10"/><path d="m9 9 6 6m0-6-6 6"/></svg>';
