-- A recorded decision moves the fence; an older one is refused (CW002).
SELECT cellway.set_fence($1, $2, $3, NULL)
