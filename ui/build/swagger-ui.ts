import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Plugin } from 'vite'

const files = ['swagger-ui-bundle.js', 'swagger-ui.css']
const find = createRequire(import.meta.url).resolve

/** Lays Swagger UI under `schema/`, where `public/schema/index.html` and `init.js` use it. */
export function swaggerUi(): Plugin {
  return {
    name: 'swagger-ui',
    generateBundle() {
      for (const file of files) {
        const source = readFileSync(find(`swagger-ui-dist/${file}`))
        this.emitFile({ type: 'asset', fileName: `schema/${file}`, source })
      }
    },
    configureServer(server) {
      server.middlewares.use('/schema', (request, response, next) => {
        const file = files.find((name) => request.url === `/${name}`)
        if (!file) return next()
        response.setHeader('content-type', file.endsWith('.css') ? 'text/css' : 'text/javascript')
        response.end(readFileSync(find(`swagger-ui-dist/${file}`)))
      })
    },
  }
}
