import type { Plugin } from 'vite'

// xterm.js writes <style> elements and style attributes, which the content security policy of the box forbids. What it
// writes goes through the object model instead: into sheets that scripts make (see src/parts/terminal-sheet.ts).
const patches: [what: RegExp, instead: string, times: number][] = [
  [/\.createElement\("style"\)/g, '.createElement("terminal-sheet")', 3],
  [/(\w+)\.setAttribute\("style",(`[^`]*`)\)/g, '$1.style.cssText=$2', 1],
]

/** Fails the build when a new version writes its styles in another way. */
export function xtermSheets(): Plugin {
  return {
    name: 'xterm-sheets',
    apply: 'build',
    transform(code, id) {
      if (!id.includes('/@xterm/xterm/lib/')) return null
      for (const [what, instead, times] of patches) {
        const found = code.match(what)?.length ?? 0
        if (found !== times) this.error(`xterm.js has ${found} places for ${what}, not ${times}`)
        code = code.replace(what, instead)
      }
      return { code, map: null }
    },
  }
}
