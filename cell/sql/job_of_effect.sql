-- Which job brings this effect about, or did.
SELECT job_id FROM cell.jobs WHERE effect_key = $1
