/// <reference types="next" />

// Above: the types of CSS modules, also before the first build has written next-env.d.ts.
