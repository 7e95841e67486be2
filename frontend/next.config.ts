import type { NextConfig } from 'next'
import { PHASE_DEVELOPMENT_SERVER } from 'next/constants'

const API_PATHS = ['/stocks', '/macro', '/data-quality', '/drift', '/models', '/health', '/ready', '/ws']

/** Production: a static export, served by the api. Development: the same page, with the api's paths passed on to it. */
export default function config(phase: string): NextConfig {
  if (phase !== PHASE_DEVELOPMENT_SERVER) return { output: 'export', reactStrictMode: true }
  const api = `http://${process.env.TANDEM_API_ADDRESS ?? '127.0.0.1:8080'}`
  return {
    reactStrictMode: true,
    allowedDevOrigins: ['127.0.0.1'],
    rewrites: () =>
      Promise.resolve(
        API_PATHS.flatMap((path) => [
          { source: path, destination: `${api}${path}` },
          { source: `${path}/:rest*`, destination: `${api}${path}/:rest*` },
        ]),
      ),
  }
}
