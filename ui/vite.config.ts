import { defineConfig } from 'vite'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { precompress } from './build/precompress.ts'
import { swaggerUi } from './build/swagger-ui.ts'
import { xtermSheets } from './build/xterm-sheets.ts'

const box = process.env.CLAWDBOX_URL ?? 'http://127.0.0.1:8022'

export default defineConfig({
  plugins: [svelte(), xtermSheets(), swaggerUi(), precompress()],
  build: {
    outDir: '../clawdbox/web/static',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    // The content security policy of the box allows no data: fonts or scripts, so nothing is inlined.
    assetsInlineLimit: 0,
    // Which plugin took the seconds is no news for who builds.
    rolldownOptions: { checks: { pluginTimings: false } },
  },
  server: {
    proxy: {
      '/api': { target: box, ws: true },
      '/schema/openapi.json': { target: box },
    },
  },
})
