SET search_path = vm, public;
\pset null '<NULL>'

--
-- hex_to_bigint
--
SELECT h, hex_to_bigint(h)
FROM unnest('{5dea3850,5DEA3850,0,00,f,ffffffff,7fffffffffffffff,8000000000000000,ffffffffffffffff,5de,"",000000000000000a}'::text[]) h;
SELECT hex_to_bigint(NULL);
SELECT hex_to_bigint('zzzz38507b0b3a00');
SELECT hex_to_bigint(' 5dea385');
SELECT hex_to_bigint('5dea''--x');
SELECT hex_to_bigint('5dea\385');
SELECT hex_to_bigint('0x10');
SELECT hex_to_bigint('-1');
SELECT hex_to_bigint('żółw');
SELECT hex_to_bigint('10000000000000000');
SELECT hex_to_bigint(repeat('f', 1000));

--
-- json_arr2int_arr: the article's outcomes
--
SELECT js, json_arr2int_arr(js::jsonb)
FROM unnest(ARRAY['[]', '[1,2,3]', '["1","2.5"]', '[1.5]', '[2.5]', '[-0.5]', '[-1.5]', '[0.49999]', '[1e2]', '[null]', '[1,null]',
                  '[" 3 "]', '["1e1"]', '[2147483647.4]', '[-2147483648]', '[1,2,"3"]']) js;
SELECT json_arr2int_arr(NULL);
SELECT array_dims(json_arr2int_arr('[5,6]')), array_ndims(json_arr2int_arr('[]'));
SELECT json_arr2int_arr('[true]');
SELECT json_arr2int_arr('[""]');
SELECT json_arr2int_arr('["NaN"]');
SELECT json_arr2int_arr('["Infinity"]');
SELECT json_arr2int_arr('[3000000000]');
SELECT json_arr2int_arr('[2147483647.5]');
SELECT json_arr2int_arr('[[1,2]]');
SELECT json_arr2int_arr('[{"$numberInt":"1"}]');
SELECT json_arr2int_arr('{}');
SELECT json_arr2int_arr('"1,2"');
SELECT json_arr2int_arr('""');
SELECT json_arr2int_arr('5');
SELECT json_arr2int_arr('false');
SELECT json_arr2int_arr('null');

-- In an index and in a parallel plan they may be used.
CREATE TABLE hexes (h text, j jsonb);
CREATE INDEX ON hexes (hex_to_bigint(h));
CREATE INDEX ON hexes USING gin (json_arr2int_arr(j));
DROP TABLE hexes;

--
-- vm_has_wrapper: keys that begin with $, at any depth, but not values
--
SELECT js, vm_has_wrapper(js::jsonb)
FROM unnest(ARRAY['{"$date": 1}', '[[{"a": [1, {"$oid": "5"}]}]]', '{"b": null, "a": {"c": 1.5, "d": {"$numberLong": "7"}}}', '{"z": 1, "$x": [], "zz": 2}',
                  '{"a": "$date"}', '["$date"]', '"$date"', '{"$": 1}', '{"a$": 1}', '{}', '[]', 'null', '{"a": "36 characters, as many as a dollar is."}']) js;
SELECT vm_has_wrapper(NULL);
SELECT vm_has_wrapper(('{"' || repeat('a', 10000) || '": [' || repeat('1, ', 10000) || '{"$oid": 1}]}')::jsonb);
SELECT vm_has_wrapper((repeat('[', 3000) || '{"$oid": 1}' || repeat(']', 3000))::jsonb);
