const clock = $state({ now: Date.now() })

setInterval(() => (clock.now = Date.now()), 1000)
document.addEventListener('visibilitychange', () => (clock.now = Date.now()))

/** The time, ticking once a second: read in a template, it keeps the template true. */
export const now = (): number => clock.now
