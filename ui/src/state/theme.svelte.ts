export type Theme = 'auto' | 'light' | 'dark'

const key = 'clawdbox.theme'
const chosen = document.documentElement.dataset.theme
const theme = $state<{ value: Theme }>({ value: chosen === 'light' || chosen === 'dark' ? chosen : 'auto' })

export const currentTheme = (): Theme => theme.value

export function chooseTheme(value: Theme): void {
  theme.value = value
  if (value === 'auto') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = value
  try {
    if (value === 'auto') localStorage.removeItem(key)
    else localStorage.setItem(key, value)
  } catch {
    // Storage is blocked: the choice holds until the page is closed.
  }
}

export function isDark(): boolean {
  return theme.value === 'dark' || (theme.value === 'auto' && matchMedia('(prefers-color-scheme: dark)').matches)
}
