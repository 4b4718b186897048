CREATE TABLE `autoinc2` (
  `a` int(11) NOT NULL,
  `n` bigint(20) unsigned NOT NULL AUTO_INCREMENT,
  `v` int(11) DEFAULT NULL,
  PRIMARY KEY (`a`),
  KEY `kn` (`n`,`v`),
  KEY `kv` (`v`),
  KEY `kn2` (`n`)
) ENGINE=InnoDB AUTO_INCREMENT=1000 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `child` (
  `id` int(11) NOT NULL,
  `pa` int(11) DEFAULT NULL,
  `pb` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `pa` (`pa`,`pb`),
  CONSTRAINT `child_ibfk_1` FOREIGN KEY (`pa`, `pb`) REFERENCES `parent` (`a`, `b`) ON DELETE CASCADE,
  CONSTRAINT `oth``er` FOREIGN KEY (`pa`) REFERENCES `parent` (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `ft` (
  `id` int(11) NOT NULL,
  `a` text COLLATE utf8mb4_unicode_ci,
  `b` text COLLATE utf8mb4_unicode_ci,
  PRIMARY KEY (`id`),
  FULLTEXT KEY `fa` (`a`),
  FULLTEXT KEY `fab` (`a`,`b`),
  FULLTEXT KEY `fb` (`b`) COMMENT 'x'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `gen` (
  `id` int(11) NOT NULL,
  `a` int(11) DEFAULT NULL,
  `b` int(11) GENERATED ALWAYS AS (((`a` * 2) + `id`)) VIRTUAL,
  `c` varchar(20) COLLATE utf8mb4_unicode_ci GENERATED ALWAYS AS (concat(`a`,'a`id`','id')) STORED COMMENT 'gen `a`',
  `d` json DEFAULT NULL,
  `e` int(11) GENERATED ALWAYS AS (json_unquote(json_extract(`d`,'$.id'))) VIRTUAL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `kc` (`c`),
  KEY `kb` (`b`),
  KEY `ke` (`e`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `geo` (
  `id` int(11) NOT NULL,
  `g` geometry NOT NULL,
  `p` point NOT NULL,
  PRIMARY KEY (`id`),
  SPATIAL KEY `sg` (`g`),
  SPATIAL KEY `sp` (`p`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `lat` (
  `id` int(11) NOT NULL,
  `a` varchar(10) DEFAULT NULL,
  `b` varchar(10) CHARACTER SET latin1 COLLATE latin1_bin DEFAULT NULL,
  `c` varchar(10) CHARACTER SET utf8mb4 DEFAULT NULL,
  `d` enum('é','ß') DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE `my` (
  `a` int(11) NOT NULL,
  `n` int(11) NOT NULL AUTO_INCREMENT,
  `v` varchar(10) COLLATE utf8mb4_unicode_ci DEFAULT NULL,
  PRIMARY KEY (`a`,`n`),
  KEY `kv` (`v`)
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `na``me with. dots` (
  `id` int(11) NOT NULL,
  `select` int(11) DEFAULT NULL,
  `col``umn` varchar(10) DEFAULT NULL,
  `sp ace` int(11) DEFAULT NULL,
  `dötted.name` int(11) DEFAULT NULL,
  `year` date DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `ke``y` (`select`,`col``umn`),
  KEY `order` (`sp ace`,`dötted.name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;

CREATE TABLE `nokey` (
  `a` int(11) DEFAULT NULL,
  `n` int(11) NOT NULL,
  UNIQUE KEY `un` (`n`),
  UNIQUE KEY `ua` (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `p_hash` (
  `id` int(11) NOT NULL,
  `v` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50100 PARTITION BY LINEAR HASH (id + 1)
PARTITIONS 3 */;

CREATE TABLE `p_key` (
  `id` int(11) NOT NULL,
  `v` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50100 PARTITION BY KEY (id)
PARTITIONS 3 */;

CREATE TABLE `p_keyempty` (
  `id` int(11) NOT NULL,
  `v` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50100 PARTITION BY KEY ()
PARTITIONS 2 */;

CREATE TABLE `p_list` (
  `id` int(11) NOT NULL,
  `v` int(11) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50100 PARTITION BY LIST (id % 3)
(PARTITION p0 VALUES IN (NULL,0) ENGINE = InnoDB,
 PARTITION p1 VALUES IN (1,2) ENGINE = InnoDB) */;

CREATE TABLE `p_listc` (
  `id` varchar(5) COLLATE utf8mb4_unicode_ci NOT NULL,
  `v` int(11) DEFAULT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50500 PARTITION BY LIST  COLUMNS(id)
(PARTITION p0 VALUES IN ('id','v') ENGINE = InnoDB,
 PARTITION p1 VALUES IN ('c') ENGINE = InnoDB) */;

CREATE TABLE `p_range` (
  `id` int(11) NOT NULL,
  `year` date NOT NULL,
  `v` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`,`year`),
  KEY `kv` (`v`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50100 PARTITION BY RANGE (YEAR(`year`))
SUBPARTITION BY HASH (id)
SUBPARTITIONS 2
(PARTITION p0 VALUES LESS THAN (2000) COMMENT = 'c,)' ENGINE = InnoDB,
 PARTITION p1 VALUES LESS THAN MAXVALUE ENGINE = InnoDB) */;

CREATE TABLE `p_rangec` (
  `id` int(11) NOT NULL,
  `b` varchar(10) COLLATE utf8mb4_unicode_ci NOT NULL,
  `v` int(11) DEFAULT NULL,
  KEY `kv` (`v`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci
/*!50500 PARTITION BY RANGE  COLUMNS(id,b)
(PARTITION p0 VALUES LESS THAN (1,'b') ENGINE = InnoDB,
 PARTITION p1 VALUES LESS THAN (MAXVALUE,MAXVALUE) ENGINE = InnoDB) */;

CREATE TABLE `parent` (
  `a` int(11) NOT NULL,
  `b` int(11) NOT NULL,
  `c` int(11) DEFAULT NULL,
  PRIMARY KEY (`a`,`b`),
  KEY `kc` (`c`),
  CONSTRAINT `parent_ibfk_1` FOREIGN KEY (`c`) REFERENCES `child` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `plain` (
  `id` int(10) unsigned NOT NULL AUTO_INCREMENT,
  `a` varchar(50) COLLATE utf8mb4_unicode_ci DEFAULT 'it''s \\ "q" `b`',
  `b` text COLLATE utf8mb4_unicode_ci,
  `c` decimal(65,30) NOT NULL DEFAULT '-1.500000000000000000000000000000',
  `d` datetime(6) DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  `e` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,
  `f` timestamp NULL DEFAULT NULL,
  `g` enum('a','b,c','it''s','x)y','','ü') COLLATE utf8mb4_unicode_ci NOT NULL DEFAULT 'it''s',
  `h` set('p','q(','r''') COLLATE utf8mb4_unicode_ci DEFAULT 'p,q(',
  `i` bit(13) DEFAULT b'101',
  `j` year(4) DEFAULT '2001',
  `k` time(3) DEFAULT NULL,
  `l` binary(7) DEFAULT 'ab\0\0\0\0\0',
  `m` varbinary(9) DEFAULT NULL,
  `n` double unsigned DEFAULT NULL,
  `o` float(7,3) DEFAULT NULL,
  `p` char(3) CHARACTER SET latin1 DEFAULT NULL,
  `q` varchar(20) CHARACTER SET utf8mb4 DEFAULT NULL,
  `r` smallint(4) unsigned zerofill DEFAULT NULL,
  `s` mediumint(9) DEFAULT NULL,
  `t` tinyint(3) unsigned DEFAULT NULL,
  `u` bigint(20) DEFAULT NULL,
  `v` date DEFAULT '2020-01-02',
  `w` longblob,
  `x` tinytext COLLATE utf8mb4_unicode_ci,
  `y` mediumtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  `z` binary(10) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `u1` (`t`,`s`) COMMENT 'c ''x'' \\ é',
  KEY `k1` (`a`(10),`s`),
  KEY `k2` (`b`(20)) USING BTREE
) ENGINE=InnoDB AUTO_INCREMENT=77 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci STATS_PERSISTENT=1 ROW_FORMAT=DYNAMIC COMMENT='t ''x'' \\ "é" /* no */ `b`';

CREATE TABLE `self` (
  `id` int(11) NOT NULL,
  `parent` int(11) DEFAULT NULL,
  PRIMARY KEY (`id`),
  KEY `kp` (`parent`),
  CONSTRAINT `self_fk` FOREIGN KEY (`parent`) REFERENCES `self` (`id`) ON DELETE SET NULL ON UPDATE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;

CREATE TABLE `tsd` (
  `id` int(11) NOT NULL,
  `d` datetime NOT NULL DEFAULT '0000-00-00 00:00:00',
  `ts` timestamp NOT NULL DEFAULT '0000-00-00 00:00:00',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_unicode_ci;
