// Lets Node's own test runner read TypeScript, also on versions that cannot strip types themselves.
import { register } from 'node:module'

register('./typescript-loader.mjs', import.meta.url)
