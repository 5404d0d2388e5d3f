const minute = 60
const hour = 60 * minute
const day = 24 * hour

/** "just now", "4 min ago", "3 h ago", "2 days ago", then the date. */
export function ago(iso: string | null, now: number): string {
  if (!iso) return 'never'
  const s = Math.round((now - Date.parse(iso)) / 1000)
  if (s < 45) return 'just now'
  if (s < hour) return `${Math.max(1, Math.round(s / minute))} min ago`
  if (s < day) return `${Math.round(s / hour)} h ago`
  const days = Math.round(s / day)
  if (days < 14) return days === 1 ? 'yesterday' : `${days} days ago`
  return `on ${iso.slice(0, 10)}`
}

/** "0.4 s", "12 s", "3 min 20 s". */
export function lasted(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`
  const s = Math.round(ms / 1000)
  if (s < minute) return `${s} s`
  const rest = s % minute
  return rest ? `${Math.floor(s / minute)} min ${rest} s` : `${s / minute} min`
}

/** A span a person sets: "30 min", "2 h", "1 h 30 min". */
export function span(seconds: number): string {
  if (seconds < minute) return `${seconds} s`
  const h = Math.floor(seconds / hour)
  const m = Math.round((seconds % hour) / minute)
  return [h ? `${h} h` : '', m ? `${m} min` : ''].filter(Boolean).join(' ')
}

/** "9:07" until `iso`, never below zero. */
export function countdown(iso: string, now: number): string {
  const left = Math.max(0, Math.ceil((Date.parse(iso) - now) / 1000))
  return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`
}

/** The date and time as this person's device writes them; of today only the time. */
export function moment(iso: string | null): string {
  if (!iso) return '–'
  const then = new Date(iso)
  if (then.toDateString() === new Date().toDateString()) return then.toLocaleTimeString(undefined, { timeStyle: 'short' })
  return then.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
}

/** A measured way to a server: "38 ms", and below what the box measures "under 1 ms". */
export function latency(ms: number | null): string {
  if (ms === null) return 'time unknown'
  return ms < 1 ? 'under 1 ms' : `${Math.round(ms)} ms`
}
