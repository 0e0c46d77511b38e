-- Which tables somebody said are to stay as they are.
SELECT relation FROM cellway.staying
