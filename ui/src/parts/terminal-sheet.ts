/** What xterm.js would write as a <style> element, which the content security policy forbids: a sheet made by a script. */
class TerminalSheet extends HTMLElement {
  private readonly sheet = new CSSStyleSheet()

  override set textContent(css: string) {
    this.sheet.replaceSync(css)
  }

  connectedCallback(): void {
    this.hidden = true
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, this.sheet]
  }

  disconnectedCallback(): void {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => sheet !== this.sheet)
  }
}

customElements.define('terminal-sheet', TerminalSheet)
