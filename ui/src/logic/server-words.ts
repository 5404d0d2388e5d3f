import type { Facts, Level } from '../nouns/stats.ts'

/** "1.9 GiB": memory and disks are counted in powers of 1024, as servers say it. */
export function gib(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  const at = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)))
  const value = bytes / 1024 ** at
  return `${value >= 100 || at === 0 ? Math.round(value) : value.toFixed(1)} ${units[at]}`
}

/** "41 days", "3 h 20 min". */
export function uptime(seconds: number | null): string {
  if (seconds === null) return 'unknown'
  const days = Math.floor(seconds / 86_400)
  if (days >= 2) return `${days} days`
  const h = Math.floor(seconds / 3600)
  const m = Math.floor((seconds % 3600) / 60)
  return [h ? `${h} h` : '', `${m} min`].filter(Boolean).join(' ')
}

export const levelWords: Record<Level, string> = { ok: 'fine', warn: 'look at this', bad: 'needs you' }

export const worst = (levels: Level[]): Level => (levels.includes('bad') ? 'bad' : levels.includes('warn') ? 'warn' : 'ok')

export function rows(f: Facts): [string, string][] {
  const all: [string, string | null][] = [
    ['System', f.os],
    ['Kernel', [f.system, f.kernel, f.machine].filter(Boolean).join(' ') || null],
    ['Name', f.hostname],
    ['Processor', [f.cpu_model, f.cores ? `${f.cores} ${f.cores === 1 ? 'core' : 'cores'}` : ''].filter(Boolean).join(', ') || null],
    ['Memory', f.memory_total ? gib(f.memory_total) : null],
    ['Addresses', f.addresses.join(', ') || null],
    ['Logged in', f.users.join(', ') || 'nobody'],
    ['Restart due', f.pending_reboot === null ? null : f.pending_reboot ? 'yes: updates wait for it' : 'no'],
  ]
  return all.filter((row): row is [string, string] => row[1] !== null)
}
