export interface Toast {
  id: number
  text: string
  tone: 'ok' | 'bad'
}

let count = 0
export const toasts = $state<Toast[]>([])

export function toast(text: string, tone: Toast['tone'] = 'ok'): void {
  const id = ++count
  toasts.push({ id, text, tone })
  setTimeout(() => dismiss(id), tone === 'ok' ? 2500 : 9000)
}

export function dismiss(id: number): void {
  const at = toasts.findIndex((t) => t.id === id)
  if (at >= 0) toasts.splice(at, 1)
}
