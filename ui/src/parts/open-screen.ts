import { touchScroll } from './touch-scroll.ts'
import { fontSize, Screen } from './screen.ts'
import './terminal-sheet.ts'

export const colours = {
  background: '#10181b', foreground: '#e6e0d4', cursor: '#ff8061', cursorAccent: '#10181b', selectionBackground: '#4a5a60',
  black: '#223034', red: '#ff8a8f', green: '#7fd6a4', yellow: '#e8c46c', blue: '#86b8f0', magenta: '#d9a3e0', cyan: '#7cd0d8', white: '#d8d2c6',
  brightBlack: '#7b8a8e', brightRed: '#ffb0b3', brightGreen: '#a5e8c1', brightYellow: '#f5dc9a', brightBlue: '#b0d2fa', brightMagenta: '#ebc6f0', brightCyan: '#a8e4ea', brightWhite: '#fffdf7',
}

export async function openScreen(host: HTMLElement): Promise<Screen> {
  const [{ Terminal }, { FitAddon }] = await Promise.all([
    import('@xterm/xterm'), import('@xterm/addon-fit'), import('@xterm/xterm/css/xterm.css'),
  ])
  const term = new Terminal({
    theme: colours,
    fontSize: fontSize(),
    fontFamily: getComputedStyle(host).getPropertyValue('--mono'),
    scrollback: 5000,
    cursorBlink: !matchMedia('(prefers-reduced-motion: reduce)').matches,
    macOptionIsMeta: true,
    allowProposedApi: false,
    linkHandler: { activate: (_, link) => follow(link) },
  })
  const fitter = new FitAddon()
  term.loadAddon(fitter)
  term.open(host)
  term.textarea?.setAttribute('aria-label', 'Terminal input')
  touchScroll(host, term)
  return new Screen(term, fitter)
}

/** A link in a terminal is a stranger's: only http(s), shown in full, opened without a way back. */
export function follow(link: string): void {
  if (!/^https?:\/\//i.test(link)) return
  if (confirm(`Open this address, which the server wrote?\n\n${link}`)) window.open(link, '_blank', 'noopener,noreferrer')
}
