/** The code out of a fragment, a whole link or what a person typed. Empty when there is none. */
export function readCode(text: string): string {
  const trimmed = text.trim()
  const code = trimmed.slice(trimmed.indexOf('#') + 1).trim()
  return /^https?:/.test(code) ? '' : code.replace(/\s+/g, '')
}

const systems: [RegExp, string][] = [
  [/iPhone/, 'iPhone'], [/iPad/, 'iPad'], [/Android/, 'Android'], [/Mac OS X/, 'Mac'],
  [/Windows/, 'Windows'], [/CrOS/, 'Chromebook'], [/Linux/, 'Linux'],
]
const browsers: [RegExp, string][] = [
  [/Firefox|FxiOS/, 'Firefox'], [/Edg/, 'Edge'], [/OPR/, 'Opera'], [/SamsungBrowser/, 'Samsung Internet'],
  [/Chrome|CriOS/, 'Chrome'], [/Safari/, 'Safari'],
]

/** What this device is called in the list of logins: "Chrome on Android". */
export function deviceName(userAgent: string): string {
  const name = (list: [RegExp, string][], fallback: string) => list.find(([p]) => p.test(userAgent))?.[1] ?? fallback
  return `${name(browsers, 'Browser')} on ${name(systems, 'unknown device')}`
}
